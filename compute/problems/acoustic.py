from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, ClassVar, Literal

import numpy as np
from pydantic import Field

from ritz.compute.fields.arrays import Array, like
from ritz.compute.kind import in_units
from ritz.compute.problems.balance import outflow, wave_magnitude
from ritz.compute.problems.box import grid, walls
from ritz.compute.problems.helmholtz import source
from ritz.compute.problems.laws import AnyLaw, InMedium, Lognormal
from ritz.compute.problems.problem import Arrays, Solve
from ritz.compute.problems.spectrum import leading_cosines
from ritz.compute.solvers.assembly import diffusion, with_reaction
from ritz.compute.solvers.operators import Stencil
from ritz.compute.solvers.scaling import norm, norms
from ritz.compute.solvers.systems import Systems

if TYPE_CHECKING:
    import xarray as xr


class Acoustic(InMedium, walls.LinearInBox):
    """Sound of one frequency in a box whose density varies: pressure p from the buoyancy a of the medium.

    Equation
        −∇·(a∇p) − k₀² p = f on (0, 1)ᵈ, d = 2 or 3, p = 0 on the boundary (walls that give way to pressure). a = ρ₀/ρ
        is the relative buoyancy, the bulk modulus is constant, and f is the source of
        `ritz.compute.problems.helmholtz.Helmholtz`. All quantities are dimensionless.
    Waves
        The local wave number is k₀/√a: with a about 1 the box is k₀/2π wavelengths wide, each sampled by 2πN/k₀
        points of N along an axis, and fewer where a is small. The matrix is indefinite: for k₀ = 9 in 3D a uniform
        medium gives it 4 negative eigenvalues, one of the default law 5 to 15. As a varies in the leading term no
        fast transform comes near it, and what makes the systems hard is a small space that changes slowly with a.
    Resonance
        Nothing damps; see `ritz.compute.problems.helmholtz.Helmholtz`.
    Discretisation
        Cell-centred finite volumes with harmonic means of a on the faces and the 5- or 7-point stencil; a boundary
        face lies half a cell from the centre. Second order in the cell width.
    Arrays
        Input ``a`` and output ``p``, ``(sample, y, x)`` or ``(sample, z, y, x)`` float32; along an axis of N cells
        the centre of cell i lies at (i + ½)/N. A surrogate sees log a.
    """

    output: ClassVar[str] = "p"
    conductivity: ClassVar[str] = "a"

    kind: Literal["acoustic"] = "acoustic"
    shape: tuple[grid.Cells, grid.Cells] | tuple[grid.Cells, grid.Cells, grid.Cells] = Field(
        default=(24, 24, 24), json_schema_extra=in_units("cells")
    )
    """Cells along y and x, or along z, y and x."""
    wavenumber: float = Field(default=9.0, gt=0, le=10_000, json_schema_extra=in_units("radians per box width"))
    """k₀, in radians a box width."""
    law: AnyLaw = Lognormal(sigma=0.5, modes=2)
    """Distribution of the buoyancy."""

    def template(self, n: int) -> xr.Dataset:
        """Describe ``n`` samples; see `Problem.template`."""
        about = {
            "a": {"role": "input", "transform": "log", "units": "1", "long_name": "relative buoyancy"},
            "p": {"role": "output", "transform": "identity", "units": "1", "long_name": "pressure"},
        }
        return grid.template(n, self.shape, about, grid.symmetries(self.shape))

    def draw(self, seed: int, ids: np.ndarray) -> Arrays:
        """Draw buoyancies, ``a`` ``(n, *shape)`` float32; see `Problem.draw`."""
        return self.draw_at(seed, ids, None)

    @property
    def leading(self) -> int:
        """How many leading coefficients of log a may be given; see `Problem.leading`."""
        return self.law.leading(len(self.shape))

    def draw_at(self, seed: int, ids: np.ndarray, given: np.ndarray | None) -> Arrays:
        """Draw with given leading coefficients; see `Problem.draw_at`."""
        return {"a": self.law.draw_at(seed, ids, self.shape, given).astype(np.float32)}

    def features(self, inputs: Mapping[str, np.ndarray]) -> np.ndarray:
        """Return the 16 leading cosine coefficients of log a, ``(n, 16)`` float32."""
        return leading_cosines(np.log(inputs["a"].astype(np.float64)))

    def simulate(self, inputs: Mapping[str, np.ndarray], solve: Solve) -> Arrays:
        """Solve for the pressure, ``p`` ``(n, *shape)`` float64; see `Problem.simulate`."""
        f = np.broadcast_to(source(self.shape, self.wavenumber), inputs["a"].shape)
        return {"p": solve(Systems(self.matrices(inputs), f))}

    def equations(self, inputs: Mapping[str, Array], fields: Mapping[str, Array]) -> dict[str, Array]:
        """Return what is left over of the balance of fluxes over every cell; see `Problem.equations`."""
        p, f = fields["p"], source(self.shape, self.wavenumber)
        return {"p": outflow(inputs["a"], p) - self.wavenumber**2 * p - like(f, p)}

    def scale(self, inputs: Mapping[str, Array]) -> float:
        """Return ‖f‖; see `Problem.scale`."""
        del inputs
        return norm(source(self.shape, self.wavenumber).ravel())

    def matrices(self, inputs: Mapping[str, np.ndarray]) -> Stencil:
        """Return the operators of −∇·(a∇) − k₀², one per sample."""
        a = inputs["a"]
        return with_reaction(diffusion(a), np.full(a.shape, -(self.wavenumber**2)), definite=False)

    def rounding(self, inputs: Mapping[str, np.ndarray], fields: Mapping[str, np.ndarray]) -> np.ndarray:
        """Return ``‖|A| |p|‖ / ‖b‖``; see `Problem.rounding`."""
        a, p = inputs["a"].astype(np.float64), np.abs(fields["p"].astype(np.float64))
        return norms(wave_magnitude(a, self.wavenumber**2, p)) / self.scale(inputs)
