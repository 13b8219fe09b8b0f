from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Literal

import numpy as np
from pydantic import Field

from ritz.compute.fields.arrays import Array, like
from ritz.compute.kind import in_units
from ritz.compute.problems.balance import outflow, wave_magnitude
from ritz.compute.problems.box import grid, walls
from ritz.compute.problems.gaussian import Gaussian
from ritz.compute.problems.problem import Arrays, Solve
from ritz.compute.problems.spectrum import leading_cosines
from ritz.compute.solvers.assembly import diffusion, with_reaction
from ritz.compute.solvers.operators import Stencil
from ritz.compute.solvers.scaling import norm, norms
from ritz.compute.solvers.systems import Systems

if TYPE_CHECKING:
    import xarray as xr


class Helmholtz(walls.LinearInBox):
    """Standing waves in a box with reflecting walls: amplitude u from the wave number k of the medium.

    Equation
        −Δu − k² u = f on (0, 1)ᵈ, d = 2 or 3, u = 0 on the boundary, with
        f = k₀² exp(−k₀² |x − c|²/2), c the centre of the box: a smooth source whose standard deviation 1/k₀ is a
        sixth of a wavelength, scaled so that in the open waves near it have |u| of about 1. All quantities are
        dimensionless.
    Waves
        k = k₀ (1 + δ g), g a random field with max|g| = 1, so k lies within ±δ of k₀. The box is k₀/2π wavelengths
        wide, each sampled by 2πN/k₀ points of N along an axis: k₀ = 20 on 128² has 3.2 wavelengths of 40 points,
        k₀ = 40 has 6.4 of 20, and k₀ = 10 on 32³ has 1.6 of 20.
        The matrix is indefinite: −Δ − k₀² has 26 negative eigenvalues for k₀ = 20 in 2D, 115 for k₀ = 40, and 7 for
        k₀ = 10 in 3D.
    Resonance
        Nothing damps: where an eigenvalue λ of −Δ − k² comes near zero, u grows like 1/λ and nears the eigenfunction.
        Such samples are part of the law. A residual of ``rtol`` then leaves an error of u of up to rtol ‖f‖/|λ|, which
        is still small beside ‖u‖. `rounding` grows with ‖u‖, and with it the residual of fields stored in float32;
        where 2⁻⁵³ times it comes near ``rtol`` no solver reaches the tolerance in float64, and the sample is recorded
        as failed.
    Discretisation
        Cell-centred finite volumes with the 5- or 7-point stencil; a boundary face lies half a cell from the centre.
        Second order in the cell width h; the phase of a wave is off by (kh)²/24 of itself, so the error at fixed
        points per wavelength grows with the wavelengths in the box, and fastest near a resonance.
    Arrays
        Input ``k`` and output ``u``, ``(sample, y, x)`` or ``(sample, z, y, x)`` float32; along an axis of N cells
        the centre of cell i lies at (i + ½)/N.
    """

    kind: Literal["helmholtz"] = "helmholtz"
    shape: tuple[grid.Cells, grid.Cells] | tuple[grid.Cells, grid.Cells, grid.Cells] = Field(
        default=(64, 64), json_schema_extra=in_units("cells")
    )
    """Cells along y and x, or along z, y and x."""
    wavenumber: float = Field(default=20.0, gt=0, le=10_000, json_schema_extra=in_units("radians per box width"))
    """k₀, in radians a box width."""
    variation: float = Field(default=0.1, ge=0, lt=1)
    """δ, the largest relative deviation of k from k₀."""
    law: Gaussian = Gaussian(tau=5.0, alpha=2.0)
    """Distribution of g, up to its scale."""

    def template(self, n: int) -> xr.Dataset:
        """Describe ``n`` samples; see `Problem.template`."""
        about = {
            "k": {"role": "input", "transform": "identity", "units": "1", "long_name": "wave number"},
            "u": {"role": "output", "transform": "identity", "units": "1", "long_name": "amplitude"},
        }
        return grid.template(n, self.shape, about, grid.symmetries(self.shape))

    def draw(self, seed: int, ids: np.ndarray) -> Arrays:
        """Draw wave numbers, ``k`` ``(n, *shape)`` float32; see `Problem.draw`."""
        return self.draw_at(seed, ids, None)

    @property
    def leading(self) -> int:
        """How many leading coefficients of g may be given; see `Problem.leading`."""
        return self.law.leading(len(self.shape))

    def draw_at(self, seed: int, ids: np.ndarray, given: np.ndarray | None) -> Arrays:
        """Draw with given leading coefficients; see `Problem.draw_at`."""
        g = self.law.draw(seed, ids, self.shape, given=given)
        largest = np.abs(g).max(axis=tuple(range(1, g.ndim)), keepdims=True)
        return {"k": (self.wavenumber * (1 + self.variation * g / largest)).astype(np.float32)}

    def features(self, inputs: Mapping[str, np.ndarray]) -> np.ndarray:
        """Return the 16 leading cosine coefficients of k, ``(n, 16)`` float32."""
        return leading_cosines(inputs["k"])

    def source(self) -> np.ndarray:
        """Return f at the cell centres, ``(*shape)`` float64."""
        return source(self.shape, self.wavenumber)

    def simulate(self, inputs: Mapping[str, np.ndarray], solve: Solve) -> Arrays:
        """Solve for the amplitude, ``u`` ``(n, *shape)`` float64; see `Problem.simulate`."""
        f = np.broadcast_to(self.source(), inputs["k"].shape)
        return {"u": solve(Systems(self.matrices(inputs), f))}

    def equations(self, inputs: Mapping[str, Array], fields: Mapping[str, Array]) -> dict[str, Array]:
        """Return what is left over in every cell, ``−Δu − k² u − f``; see `Problem.equations`."""
        u = fields["u"]
        return {"u": outflow(1.0, u) - inputs["k"] ** 2 * u - like(self.source(), u)}

    def scale(self, inputs: Mapping[str, Array]) -> float:
        """Return ‖f‖; see `Problem.scale`."""
        del inputs
        return norm(self.source().ravel())

    def matrices(self, inputs: Mapping[str, np.ndarray]) -> Stencil:
        """Return the operators of −Δ − k², one per sample."""
        k = inputs["k"].astype(np.float64)
        return with_reaction(diffusion(np.broadcast_to(1.0, k.shape)), -(k**2), definite=False)

    def rounding(self, inputs: Mapping[str, np.ndarray], fields: Mapping[str, np.ndarray]) -> np.ndarray:
        """Return ``‖|A| |u|‖ / ‖b‖``; see `Problem.rounding`."""
        k, u = inputs["k"].astype(np.float64), np.abs(fields["u"].astype(np.float64))
        return norms(wave_magnitude(1.0, k**2, u)) / self.scale(inputs)


def source(shape: tuple[int, ...], wavenumber: float) -> np.ndarray:
    """Return k₀² exp(−k₀² |x − c|²/2), c the centre of the unit box, at the centres of its cells.

    Parameters
    ----------
    shape
        Cells along each axis.
    wavenumber
        k₀, in radians a box width.

    Returns
    -------
    f
        ``(*shape)`` float64.
    """
    squares = [(grid.centres(cells) - 0.5) ** 2 for cells in shape]
    square = sum(np.meshgrid(*squares, indexing="ij", sparse=True))
    found: np.ndarray = wavenumber**2 * np.exp(-0.5 * wavenumber**2 * square)
    return found
