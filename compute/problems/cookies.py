from __future__ import annotations

import functools
import operator
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, ClassVar, Literal

import numpy as np
from pydantic import Field

from ritz.compute.fields.arrays import Array, cast, double, like
from ritz.compute.kind import Fault, Source, in_units
from ritz.compute.problems.balance import outflow
from ritz.compute.problems.box import grid, walls
from ritz.compute.problems.problem import Arrays, Solve
from ritz.compute.solvers.assembly import diffusion
from ritz.compute.solvers.operators import Stencil
from ritz.compute.solvers.scaling import norms
from ritz.compute.solvers.systems import Systems

if TYPE_CHECKING:
    import xarray as xr

CENTRES = ((0.2, 0.2), (0.5, 0.2), (0.8, 0.2), (0.2, 0.5), (0.8, 0.5), (0.2, 0.8), (0.5, 0.8), (0.8, 0.8))
"""x and y of the centres of the discs."""

RADIUS = 0.13
"""Radius of the discs."""

SQUARE = (0.4, 0.6)
"""Where the heated square begins and ends, along x and along y."""

_HEAT = 100.0


class Cookies(walls.LinearInBox):
    """Eight cookies in an oven: temperature u where the conductivity of eight discs is uncertain.

    The published benchmark of forward uncertainty quantification "cookies-problem-propagation" of UM-Bridge: what is
    asked for is E[Q] with Q = ∫ u over the heated square, the quantity ``integral:u:0.4,0.4:0.6,0.6``.

    Equation
        −∇·(a ∇u) = f on (0, 1)², u = 0 on the boundary; a = 1 + y_n in disc n and 1 elsewhere; f = 100 in the square
        [0.4, 0.6]² and 0 elsewhere. The discs n = 1 … 8 have the radius 0.13 and the centres (0.2, 0.2), (0.5, 0.2),
        (0.8, 0.2), (0.2, 0.5), (0.8, 0.5), (0.2, 0.8), (0.5, 0.8), (0.8, 0.8). All quantities are dimensionless.
    Law
        The y_n are independent and uniform between ``low`` and ``high``: in the benchmark −0.99 and −0.2. They are
        rounded to float32 as all inputs are.
    Discretisation
        Cell-centred finite volumes with the 5-point stencil and harmonic means of ``a`` at faces; a boundary face lies
        half a cell from the centre. In a cell that the rim of a disc cuts, ``a`` is the arithmetic mean, by the exact
        area of the disc in the cell; f is the mean over the cell too. First order in the cell width at the rims of the
        discs, with an error that depends on how they cut the cells, and second order elsewhere. The harmonic mean in
        cut cells is off by several times as much (``benchmarks/cookies.txt``).
    Arrays
        Input ``y_n`` ``(sample, cookie)`` and output ``u`` ``(sample, y, x)``, float32; the cell ``(i, j)`` of a grid
        of ``shape = (ny, nx)`` has its centre at y = (i + ½)/ny, x = (j + ½)/nx. A symmetry of the square would
        exchange the cookies, so the template has none.

    Source: Bäck et al. (2011) for the problem; the statement is that of UM-Bridge, Seelinger et al. (2024).
    """

    sources: ClassVar[tuple[Source, ...]] = (
        Source(
            "Bäck, Nobile, Tamellini, Tempone",
            "Stochastic spectral Galerkin and collocation methods for PDEs with random coefficients: a numerical "
            "comparison",
            2011,
            "Lecture Notes in Computational Science and Engineering 76",
        ),
        Source(
            "Seelinger et al.",
            "Democratizing uncertainty quantification",
            2024,
            "arXiv:2402.13768",
            "E[Q] = 0.0642023672 by a sparse grid of 15713 points, with bilinear elements on 400² cells",
            "cookies.txt",
        ),
    )

    kind: Literal["cookies"] = "cookies"
    shape: tuple[grid.Cells, grid.Cells] = Field(default=(40, 40), json_schema_extra=in_units("cells"))
    """Cells along y and x. With a multiple of 10 no cell is cut by the rim of the square."""
    low: float = Field(default=-0.99, gt=-1, le=1e6)
    """Smallest value of a y_n."""
    high: float = Field(default=-0.2, gt=-1, le=1e6)
    """Largest value of a y_n."""

    def faults(self) -> Iterator[Fault]:
        """Yield a fault where there is nothing between the bounds of y_n."""
        if self.low >= self.high:
            yield Fault(("low", "high"), f"low is {self.low:g}, expected less than high, which is {self.high:g}")

    def template(self, n: int) -> xr.Dataset:
        """Describe ``n`` samples; see `Problem.template`."""
        import xarray as xr

        nan = np.float32(np.nan)
        about_y = {"role": "input", "transform": "identity", "units": "1"}
        about_y["long_name"] = "change of the conductivity in a cookie"
        about_u = {"role": "output", "transform": "identity", "units": "1", "long_name": "temperature"}
        cookie = {"units": "1", "long_name": "number of the cookie"}
        return xr.Dataset(
            {
                "y_n": (("sample", "cookie"), np.broadcast_to(nan, (n, len(CENTRES))), about_y),
                "u": (("sample", "y", "x"), np.broadcast_to(nan, (n, *self.shape)), about_u),
            },
            coords={
                "cookie": ("cookie", np.arange(1.0, len(CENTRES) + 1), cookie),
                **grid.coordinates(self.shape),
            },
            attrs={"symmetries": "none"},
        )

    def draw(self, seed: int, ids: np.ndarray) -> Arrays:
        """Draw the changes of the conductivity, ``y_n`` ``(n, 8)`` float32; see `Problem.draw`."""
        return self.draw_at(seed, ids, None)

    @property
    def leading(self) -> int:
        """All y_n may be given; see `Problem.leading`."""
        return len(CENTRES)

    def draw_at(self, seed: int, ids: np.ndarray, given: np.ndarray | None) -> Arrays:
        """Draw with the first y_n given, each between its bounds; see `Problem.draw_at`."""
        drawn = np.empty((len(ids), len(CENTRES)))
        for row, (numbers, sample) in enumerate(zip(drawn, ids, strict=True)):
            generator = np.random.Generator(np.random.Philox(np.random.SeedSequence((seed, int(sample)))))
            numbers[...] = generator.random(numbers.shape)
            if given is not None:
                numbers[: given.shape[1]] = given[row]
        return {"y_n": (self.low + (self.high - self.low) * drawn).astype(np.float32)}

    def features(self, inputs: Mapping[str, np.ndarray]) -> np.ndarray:
        """Return the y_n, each from 0 to 1, ``(n, 8)`` float32."""
        return ((inputs["y_n"] - self.low) / (self.high - self.low)).astype(np.float32)

    def conductivities(self, inputs: Mapping[str, Array]) -> Array:
        """Return a, the mean over each cell, ``(n, ny, nx)`` float64."""
        change = double(inputs["y_n"])
        within = like(shares(self.shape).reshape(len(CENTRES), -1), change)
        return (1 + change @ within).reshape(len(change), *self.shape)

    def simulate(self, inputs: Mapping[str, np.ndarray], solve: Solve) -> Arrays:
        """Solve for the temperature, ``u`` ``(n, ny, nx)`` float64; see `Problem.simulate`."""
        operators = self.matrices(inputs)
        return {"u": solve(Systems(operators, np.broadcast_to(self._heat, (len(operators), *self.shape))))}

    def equations(self, inputs: Mapping[str, Array], fields: Mapping[str, Array]) -> dict[str, Array]:
        """Return what is left over of the balance of heat over every cell; see `Problem.equations`."""
        u = fields["u"]
        return {"u": outflow(cast(self.conductivities(inputs), u), u) - like(self._heat, u)}

    def scale(self, inputs: Mapping[str, Array]) -> float:
        """Return ‖f‖, the same for all; see `Problem.scale`."""
        del inputs
        return float(np.linalg.norm(self._heat))

    def matrices(self, inputs: Mapping[str, np.ndarray]) -> Stencil:
        """Return the operators of −∇·(a ∇), one per sample."""
        return diffusion(self.conductivities(inputs))

    def rounding(self, inputs: Mapping[str, np.ndarray], fields: Mapping[str, np.ndarray]) -> np.ndarray:
        """Return ``‖|A| |u|‖ / ‖f‖``; see `Problem.rounding`."""
        u = np.abs(fields["u"].astype(np.float64))
        return norms(outflow(self.conductivities(inputs), u, operator.add)) / self.scale(inputs)

    @property
    def _heat(self) -> np.ndarray:
        """f, the mean over each cell, ``(ny, nx)`` float64."""
        begin, end = SQUARE
        inside = []
        for cells in self.shape:
            edges = np.arange(cells + 1) / cells
            inside.append(cells * np.clip(np.minimum(edges[1:], end) - np.maximum(edges[:-1], begin), 0, None))
        found: np.ndarray = _HEAT * np.multiply.outer(*inside)
        return found


@functools.cache
def shares(shape: tuple[int, int]) -> np.ndarray:
    """Return which share of the area of each cell lies in each disc, ``(8, ny, nx)`` float64."""
    y, x = (np.arange(cells + 1) / cells for cells in shape)
    found = np.empty((len(CENTRES), *shape))
    for share, (centre_x, centre_y) in zip(found, CENTRES, strict=True):
        below = _below((x - centre_x) / RADIUS, ((y - centre_y) / RADIUS)[:, None])
        area = RADIUS**2 * np.diff(np.diff(below, axis=0), axis=1)
        share[...] = np.clip(area * shape[0] * shape[1], 0, 1)
    return found


def _below(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Return the area of the part of the unit disc left of x and below y, for all pairs."""
    x, y = np.clip(x, -1, 1), np.clip(y, -1, 1)
    # Where |s| is below the half-chord w, the vertical line through s crosses the line at height y inside of the disc.
    w = np.sqrt(1 - y**2)
    crossing = np.clip(x, -w, w)
    cap = _half(crossing) - _half(-w) - np.abs(y) * (crossing + w)
    found: np.ndarray = np.where(y < 0, cap, 2 * _half(x) - cap)
    return found


def _half(x: np.ndarray) -> np.ndarray:
    """Return the area of the part of the upper half of the unit disc left of x."""
    found: np.ndarray = 0.5 * (x * np.sqrt(1 - x**2) + np.arcsin(x)) + 0.25 * np.pi
    return found
