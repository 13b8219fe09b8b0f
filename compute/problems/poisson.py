from __future__ import annotations

import operator
from collections.abc import Mapping
from typing import TYPE_CHECKING, Literal

import numpy as np
from pydantic import Field

from ritz.compute.fields.arrays import Array, double, namespace
from ritz.compute.kind import in_units
from ritz.compute.problems.balance import outflow
from ritz.compute.problems.box import grid, walls
from ritz.compute.problems.gaussian import Gaussian, generator, lead, parted, shared
from ritz.compute.problems.problem import Arrays, Solve
from ritz.compute.problems.sizes import size
from ritz.compute.problems.spectrum import leading_cosines
from ritz.compute.solvers.assembly import diffusion, wall_source
from ritz.compute.solvers.operators import Stencil
from ritz.compute.solvers.scaling import norms
from ritz.compute.solvers.systems import Systems

if TYPE_CHECKING:
    import xarray as xr

_WALLS = {"south": (0, False), "east": (1, True), "north": (0, True), "west": (1, False)}
"""Axis across the wall, and whether it is the upper one; in the order of a walk round the square."""


class Poisson(walls.LinearInBox):
    """A potential in a square: u from sources f inside and given values at the four walls.

    Equation
        −Δu = f on (0, 1)²; u = west at x = 0, east at x = 1, south at y = 0, north at y = 1. All quantities are
        dimensionless.
    Law
        f is ``strength`` times a Gaussian field of variance 1 without slope across the walls. The values at the walls
        are one periodic Gaussian process of variance 1 along the boundary, counted from the corner (0, 0)
        anticlockwise, so that they go on round the corners: u is continuous up to the boundary.
    Discretisation
        Cell-centred finite volumes with the 5-point stencil; a boundary face lies half a cell from the centre and
        takes the value at its middle. Second order in the cell width where u is smooth; at the corners it is as
        smooth as the walls are.
    Systems
        One matrix for all samples, posed as such; f and the walls are in the right-hand side.
    Arrays
        Inputs ``f`` ``(sample, y, x)``, ``west`` and ``east`` ``(sample, y)``, ``south`` and ``north``
        ``(sample, x)``, and output ``u`` ``(sample, y, x)``, float32; the cell ``(i, j)`` of a grid of
        ``shape = (ny, nx)`` has its centre at y = (i + ½)/ny, x = (j + ½)/nx, and wall values are at the same y and x.
        A flip would exchange two walls, so the template has no symmetries.
    """

    kind: Literal["poisson"] = "poisson"
    shape: tuple[grid.Cells, grid.Cells] = Field(default=(64, 64), json_schema_extra=in_units("cells"))
    """Cells along y and x."""
    source: Gaussian = Gaussian(tau=5.0, alpha=2.0)
    """Distribution of f, up to its scale."""
    strength: float = Field(default=50.0, gt=0, le=1e6)
    """Standard deviation of f; with the default f moves u about as much as the walls do."""
    walls: Gaussian = Gaussian(tau=5.0, alpha=2.0, modes=16)
    """Distribution of the values at the walls, along a boundary whose length counts as 1."""

    def template(self, n: int) -> xr.Dataset:
        """Describe ``n`` samples; see `Problem.template`."""
        import xarray as xr

        ny, nx = self.shape
        nan = np.float32(np.nan)
        nothing = np.broadcast_to(nan, (n, ny, nx))
        dims = ("sample", "y", "x")
        about_f = {"role": "input", "transform": "identity", "units": "1", "long_name": "source"}
        about_u = {"role": "output", "transform": "identity", "units": "1", "long_name": "potential"}
        variables: dict[str, tuple[tuple[str, ...], np.ndarray, dict[str, str]]] = {"f": (dims, nothing, about_f)}
        for wall, (axis, _) in _WALLS.items():
            along, cells = ("x", nx) if axis == 0 else ("y", ny)
            about = about_f | {"long_name": f"potential at the {wall} wall"}
            variables[wall] = (("sample", along), np.broadcast_to(nan, (n, cells)), about)
        return xr.Dataset(
            variables | {"u": (dims, nothing, about_u)},
            coords=grid.coordinates(self.shape),
            attrs={"symmetries": "none"},
        )

    def draw(self, seed: int, ids: np.ndarray) -> Arrays:
        """Draw sources and values at the walls, float32; see `Problem.draw`."""
        return self.draw_at(seed, ids, None)

    @property
    def _shares(self) -> tuple[int, ...]:
        return shared((self.source.leading(2), self.walls.leading(1, "periodic")))

    @property
    def leading(self) -> int:
        """How many leading coefficients of f and of the values at the walls may be given; see `Problem.leading`."""
        return sum(self._shares)

    def draw_at(self, seed: int, ids: np.ndarray, given: np.ndarray | None) -> Arrays:
        """Draw with given leading coefficients, those of f first; see `Problem.draw_at`."""
        first, rest = parted(given, self._shares)
        source = self.strength * self.source.draw(seed, ids, self.shape, given=first)
        inputs = {"f": source, **self.around(seed, ids, rest)}
        return {name: array.astype(np.float32) for name, array in inputs.items()}

    def around(self, seed: int, ids: np.ndarray, given: np.ndarray | None = None) -> Arrays:
        """Draw the values at the walls, ``(n, nx)`` (south, north) and ``(n, ny)`` (east, west) float64.

        With s from 0 to 1 along the boundary they are Σ ξ_k √λ_k (cos 2πks + sin 2πks), k = −``modes`` … ``modes``; see
        `ritz.compute.problems.gaussian.Gaussian`. No mode is dropped: walls have the same values on any grid.
        """
        amplitudes = self.walls.amplitudes(1, "periodic")
        waves = 2 * np.pi * np.arange(-self.walls.modes, self.walls.modes + 1)
        ny, nx = self.shape
        forward_x, forward_y = grid.centres(nx), grid.centres(ny)
        ways = {"south": forward_x, "east": 1 + forward_y, "north": 3 - forward_x, "west": 4 - forward_y}
        values: Arrays = {}
        for wall, way in ways.items():
            angles = np.multiply.outer(0.25 * way, waves)
            series = (np.cos(angles) + np.sin(angles)) * amplitudes
            values[wall] = np.empty((len(ids), len(way)))
            for place, (row, sample) in enumerate(zip(values[wall], ids, strict=True)):
                # The first stream is that of f.
                normal = generator(seed, sample, stream=1).standard_normal(len(waves))
                lead(normal, amplitudes, None if given is None else given[place])
                row[...] = series @ normal
        return values

    def features(self, inputs: Mapping[str, np.ndarray]) -> np.ndarray:
        """Return 8 leading cosine coefficients of f and 2 of every wall, ``(n, 16)`` float32.

        Those of f count by 1/2π², what the slowest mode of −Δ makes of them in u.
        """
        inside = leading_cosines(inputs["f"])[:, :8] / np.float32(2 * np.pi**2)
        return np.concatenate([inside, *(leading_cosines(inputs[wall])[:, :2] for wall in _WALLS)], axis=1)

    def simulate(self, inputs: Mapping[str, np.ndarray], solve: Solve) -> Arrays:
        """Solve for the potential, ``u`` ``(n, ny, nx)`` float64; see `Problem.simulate`."""
        rhs = inputs["f"].astype(np.float64)
        one = np.broadcast_to(1.0, rhs.shape)
        for wall, (axis, upper) in _WALLS.items():
            rhs += wall_source(one, axis, upper, inputs[wall].astype(np.float64))
        return {"u": solve(Systems(self.matrices(inputs), rhs))}

    def equations(self, inputs: Mapping[str, Array], fields: Mapping[str, Array]) -> dict[str, Array]:
        """Return what is left over in every cell, ``−Δu − f`` with the walls in −Δ; see `Problem.equations`."""
        return {"u": outflow(1.0, fields["u"]) - self._given(inputs)}

    def scale(self, inputs: Mapping[str, Array]) -> Array:
        """Return the norm of f with the walls in it; see `Problem.scale`."""
        return size(self._given(inputs))

    def matrices(self, inputs: Mapping[str, np.ndarray]) -> Stencil:
        """Return the operators of −Δ, all the same, one per sample."""
        return diffusion(np.broadcast_to(1.0, inputs["f"].shape))

    def rounding(self, inputs: Mapping[str, np.ndarray], fields: Mapping[str, np.ndarray]) -> np.ndarray:
        """Return ``‖|A| |u|‖ / ‖b‖``; see `Problem.rounding`."""
        u = np.abs(fields["u"].astype(np.float64))
        found: np.ndarray = norms(outflow(1.0, u, operator.add)) / self.scale(
            {name: double(one) for name, one in inputs.items()}
        )
        return found

    def _given(self, inputs: Mapping[str, Array]) -> Array:
        """Return the right-hand sides: f, and in the cells along the walls what these send in."""
        f, (ny, nx) = inputs["f"], self.shape
        concat, inner = namespace(f).concat, namespace(f).zeros_like(f)
        south, north, west, east = (inputs[wall] for wall in ("south", "north", "west", "east"))
        across_y = concat([south[:, None], inner[:, 1:-1], north[:, None]], axis=1)
        across_x = concat([west[..., None], inner[..., 1:-1], east[..., None]], axis=2)
        return f + 2 * ny**2 * across_y + 2 * nx**2 * across_x
