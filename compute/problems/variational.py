from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, ClassVar, Literal

import numpy as np
from pydantic import Field

from ritz.compute.fields.arrays import Array, double
from ritz.compute.kind import Source, in_units
from ritz.compute.problems.balance import outflow
from ritz.compute.problems.box import grid, walls
from ritz.compute.problems.box.cell_energy import CellEnergy, stiffened
from ritz.compute.problems.gaussian import Gaussian
from ritz.compute.problems.iterated import Iterated
from ritz.compute.problems.laws import AnyLaw, Lognormal
from ritz.compute.problems.problem import Arrays, Solve
from ritz.compute.problems.sourced import InSourcedMedium
from ritz.compute.solvers.minimisers.catalogue import AnyMinimiser
from ritz.compute.solvers.minimisers.damped_newton import DampedNewton
from ritz.compute.solvers.operators import Matrices
from ritz.compute.solvers.scaling import norms

if TYPE_CHECKING:
    import xarray as xr


class Variational(InSourcedMedium, Iterated, walls.InBox):
    """The minimum of a convex energy that grows faster than squares: displacement u from stiffness and loads.

    Equation
        u minimises ∫ ½ a |∇u|² + β/4 |∇u|⁴ − f u over (0, 1)² with u = 0 on the boundary, so that
        −∇·((a + β |∇u|²) ∇u) = f, with a random stiffness ``a`` and random loads ``f``. All quantities are
        dimensionless. With a = 0 it would be the p-Laplace equation, p = 4: a material that stiffens as it is strained.
    Discretisation
        The energy is that of equal cells. A difference of u over a face of a cell, half a cell from the centre at a
        wall, is one of the two slopes of the cell along that axis; |∇u|⁴ of the cell is its mean over the four pairs of
        a slope along y and one along x, and ½ a |∇u|² belongs to the faces, with the harmonic mean of ``a``. The
        derivative by the value of a cell, over its area, is the discrete equation: through a face flows (a + β (s² +
        t²)) s, s the slope over the face and t² the mean of the squares of the four slopes along it. Second order in
        the cell width for smooth ``a``.
    Systems
        By the ``method`` of choice. Newton's method poses the second derivatives of the energy, 9-point matrices that
        are symmetric definite, about 8 batches in all. Descent in a Sobolev space (``sobolev``) poses −Δ in every
        step, hundreds of batches, one matrix for all samples and steps. Both begin at zero. A sample that is done has
        a zero right-hand side in what follows, so its fields do not depend on the others of its block.
    Tolerance
        Both stop at ‖F‖ ≤ ``tolerance`` ‖f‖, F what the equations leave over, which is what `residual` finds again. The
        ledger has the residuals of the linear systems. A sample that does not get there is NaN, hence recorded as
        failed.
    Arrays
        Inputs ``a`` and ``f`` and output ``u``, ``(sample, y, x)`` float32; the cell ``(i, j)`` of a grid of
        ``shape = (ny, nx)`` has its centre at y = (i + ½)/ny, x = (j + ½)/nx. A surrogate sees log a.

    Source: T. Marwah, Z. C. Lipton, J. Lu, A. Risteski, "Neural network approximations of PDEs beyond linearity: a
    representational perspective", ICML 2023, for such energies.
    """

    sources: ClassVar[tuple[Source, ...]] = (
        Source(
            "T. Marwah, Z. C. Lipton, J. Lu, A. Risteski",
            "Neural network approximations of PDEs beyond linearity: a representational perspective",
            2023,
            "ICML",
            measured="newton.txt",
        ),
    )

    kind: Literal["variational"] = "variational"
    shape: tuple[grid.Cells, grid.Cells] = Field(default=(64, 64), json_schema_extra=in_units("cells"))
    """Cells along y and x."""
    law: AnyLaw = Lognormal(sigma=0.5)
    """Distribution of ``a``."""
    source: Gaussian = Gaussian(tau=5.0, alpha=2.0)
    """Distribution of f, up to its scale."""
    strength: float = Field(default=20.0, gt=0, le=1e6)
    """Standard deviation of f."""
    stiffening: float = Field(default=1.0, gt=0, le=1e6)
    """β."""
    method: AnyMinimiser = DampedNewton()
    """How the minimum is found: ``newton`` or ``sobolev``."""
    tolerance: float = Field(default=1e-10, ge=1e-13, le=1e-3)
    """Largest ‖F‖ / ‖f‖ at which the method stops."""

    def template(self, n: int) -> xr.Dataset:
        """Describe ``n`` samples; see `Problem.template`."""
        about = {
            "a": {"role": "input", "transform": "log", "units": "1", "long_name": "stiffness"},
            "f": {"role": "input", "transform": "identity", "units": "1", "long_name": "load"},
            "u": {"role": "output", "transform": "identity", "units": "1", "long_name": "displacement"},
        }
        return grid.template(n, self.shape, about, grid.symmetries(self.shape))

    def simulate(self, inputs: Mapping[str, np.ndarray], solve: Solve) -> Arrays:
        """Find the displacement of least energy, ``u`` ``(n, ny, nx)`` float64; see `Problem.simulate`."""
        f = double(inputs["f"])
        u, lost = self.method.minimise(self.energy(inputs), np.zeros_like(f), solve, bound=self.tolerance * norms(f))
        return {"u": self.without_lost(u, lost)}

    def energy(self, inputs: Mapping[str, np.ndarray]) -> CellEnergy:
        """Return the energies of some samples, over the area of a cell."""
        return CellEnergy(double(inputs["a"]), double(inputs["f"]), self.stiffening)

    def equations(self, inputs: Mapping[str, Array], fields: Mapping[str, Array]) -> dict[str, Array]:
        """Return what is left over of the balance over every cell, F; see `Problem.equations`."""
        u = fields["u"]
        return {"u": outflow(inputs["a"], u) + self.stiffening * stiffened(u) - inputs["f"]}

    def linearised(self, inputs: Mapping[str, np.ndarray], fields: Mapping[str, np.ndarray]) -> Matrices:
        """Return the second derivatives of the energy; see `Problem.linearised`."""
        return self.energy(inputs).hessian(double(fields["u"]))

    def rounding(self, inputs: Mapping[str, np.ndarray], fields: Mapping[str, np.ndarray]) -> np.ndarray:
        """Return ``‖|∂F/∂u| |u|‖ / ‖f‖``; see `Problem.rounding`."""
        u = double(fields["u"])
        operators = self.energy(inputs).hessian(u)
        moved = np.stack([abs(operators.csr(i)) @ np.abs(field).ravel() for i, field in enumerate(u)])
        found: np.ndarray = norms(moved) / norms(double(inputs["f"]))
        return found
