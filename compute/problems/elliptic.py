from __future__ import annotations

import operator
from collections.abc import Mapping
from typing import TYPE_CHECKING, ClassVar, Literal

import numpy as np
from pydantic import Field

from ritz.compute.fields.arrays import Array, double
from ritz.compute.kind import Source, in_units
from ritz.compute.problems.balance import outflow
from ritz.compute.problems.box import grid, walls
from ritz.compute.problems.gaussian import Gaussian
from ritz.compute.problems.iterated import Iterated
from ritz.compute.problems.laws import AnyLaw, Lognormal
from ritz.compute.problems.problem import Arrays, Solve
from ritz.compute.problems.sourced import InSourcedMedium
from ritz.compute.solvers.assembly import diffusion
from ritz.compute.solvers.newton import newton
from ritz.compute.solvers.operators import Stencil
from ritz.compute.solvers.scaling import norms
from ritz.compute.solvers.systems import Systems

if TYPE_CHECKING:
    import xarray as xr


_STEPS = 30


class Elliptic(InSourcedMedium, Iterated, walls.InBox):
    """Steady conduction where the conductivity grows with the temperature: temperature u from material and sources.

    Equation
        −∇·(q(u) ∇u) = f on (0, 1)², q(u) = a + β u², u = 0 on the boundary, with a random conductivity ``a`` of the
        cold material and random sources ``f``. All quantities are dimensionless. Where ``a`` varies, no function of u
        makes it a linear equation; where it does not, z = a u + β u³/3 does, −Δz = f.
    Discretisation
        Cell-centred finite volumes with the 5-point stencil: through a face flow the differences of u, times the
        harmonic mean of ``a``, and of β u³/3; a boundary face lies half a cell from the centre. With A the matrix of
        −∇·(a ∇) and L that of −Δ the discrete equation is A u + β L u³/3 = f. Second order in the cell width for smooth
        ``a``. Each equation is divided by the cell's area.
    Newton's method
        In z, point by point: with F = f − A u − β L u³/3 a step δ of u solves (A + β L diag(u²)) δ = F, and moves z by
        q δ, or by half of that, a quarter and so on until ‖F‖ falls. It begins at zero.
        The Jacobian is a 5-point stencil and an M-matrix for every u: off the diagonal nothing is positive, and its
        columns add up to no less than those of A, which are those of an M-matrix. So it is never singular, the discrete
        equation has one solution, and halving leads there from anywhere.
    Systems
        One batch a step, about 4 in all. A sample that is done has a zero right-hand side in what follows, so its
        fields do not depend on the others of its block.
        The unknown of a system is y = (α + β u²) δ with α the harmonic mean of ``a``, so that the matrix is −Δ where
        ``a`` is constant, and else not symmetric but near to it. It is posed as definite, which is measured, not
        proven: with the default laws the smallest eigenvalue of the symmetric part is about 2π², that of −Δ, and with
        σ = 1 or two phases of contrast 1000 it is still positive. Where β u² is far above an ``a`` that jumps by 100 it
        is not, and multigrid may give up on systems that a direct solver then has to solve.
    Tolerance
        Newton's method stops at ‖F‖ ≤ ``tolerance`` ‖f‖, which is what `residual` finds again. The ledger has the
        residuals of the linear systems, at most rtol ‖F‖: a full step leaves that of F, and a term of second order in
        the step. So ``rtol`` says how exact a step is, and ``tolerance`` alone how exact the fields are.
        A sample that does not get there in 30 steps, whose ‖F‖ no part of a step makes smaller, or with a system
        that was not solved, is NaN, hence recorded as failed.
    Arrays
        Inputs ``a`` and ``f`` and output ``u``, ``(sample, y, x)`` float32; the cell ``(i, j)`` of a grid of
        ``shape = (ny, nx)`` has its centre at y = (i + ½)/ny, x = (j + ½)/nx. A surrogate sees log a.

    Source: W. C. Rheinboldt, "On M-functions and their application to nonlinear Gauss–Seidel iterations and to network
    flows", J. Math. Anal. Appl. 32 (1970), for such equations; G. Kirchhoff's transformation is u ↦ z.
    """

    sources: ClassVar[tuple[Source, ...]] = (
        Source(
            "W. C. Rheinboldt",
            "On M-functions and their application to nonlinear Gauss–Seidel iterations and to network flows",
            1970,
            "J. Math. Anal. Appl. 32",
        ),
    )

    kind: Literal["elliptic"] = "elliptic"
    shape: tuple[grid.Cells, grid.Cells] = Field(default=(64, 64), json_schema_extra=in_units("cells"))
    """Cells along y and x."""
    law: AnyLaw = Lognormal(sigma=0.5)
    """Distribution of ``a``."""
    source: Gaussian = Gaussian(tau=5.0, alpha=2.0)
    """Distribution of f, up to its scale."""
    strength: float = Field(default=100.0, gt=0, le=1e6)
    """Standard deviation of f."""
    growth: float = Field(default=1.0, gt=0, le=1e6)
    """β."""
    tolerance: float = Field(default=1e-10, ge=1e-13, le=1e-3)
    """Largest ‖F‖ / ‖f‖ at which Newton's method stops."""

    def template(self, n: int) -> xr.Dataset:
        """Describe ``n`` samples; see `Problem.template`."""
        cold = "conductivity of the cold material"
        about = {
            "a": {"role": "input", "transform": "log", "units": "1", "long_name": cold},
            "f": {"role": "input", "transform": "identity", "units": "1", "long_name": "source"},
            "u": {"role": "output", "transform": "identity", "units": "1", "long_name": "temperature"},
        }
        return grid.template(n, self.shape, about, grid.symmetries(self.shape))

    def simulate(self, inputs: Mapping[str, np.ndarray], solve: Solve) -> Arrays:
        """Solve for the temperature, ``u`` ``(n, ny, nx)`` float64; see `Problem.simulate`."""
        a, f = inputs["a"].astype(np.float64), inputs["f"].astype(np.float64)
        equation = _Equation(a, f, self.growth)
        z, lost = newton(
            equation.defect,
            equation.jacobian,
            np.zeros_like(f),
            solve,
            bound=self.tolerance * norms(f),
            steps=_STEPS,
        )
        return {"u": self.without_lost(equation.temperature(z), lost)}

    def equations(self, inputs: Mapping[str, Array], fields: Mapping[str, Array]) -> dict[str, Array]:
        """Return what is left over of the balance over every cell, F; see `Problem.equations`."""
        u = fields["u"]
        return {"u": outflow(inputs["a"], u) + outflow(self.growth, u**3 / 3) - inputs["f"]}

    def linearised(self, inputs: Mapping[str, np.ndarray], fields: Mapping[str, np.ndarray]) -> Stencil:
        """Return the matrices A + β L diag(u²); see `Problem.linearised`."""
        a, f, u = (array.astype(np.float64) for array in (inputs["a"], inputs["f"], fields["u"]))
        return Stencil(_Equation(a, f, self.growth).columns(np.ones_like(u), u**2))

    def weighted_derivatives(
        self, inputs: Mapping[str, np.ndarray], fields: Mapping[str, np.ndarray]
    ) -> tuple[Stencil, np.ndarray]:
        """Return the matrices of `simulate`, for y = (α + β u²) δ; see `Problem.weighted_derivatives`."""
        a, f, u = (double(array) for array in (inputs["a"], inputs["f"], fields["u"]))
        equation = _Equation(a, f, self.growth)
        return equation.matrices(u), 1 / equation.scale(u)

    def corrected(self, inputs: Mapping[str, np.ndarray], fields: Mapping[str, np.ndarray], solve: Solve) -> Arrays:
        """Return the temperatures one step of Newton's method in z further; see `Problem.corrected`.

        In u a step leaves ten times as much of the error.
        """
        a, f, u = (double(array) for array in (inputs["a"], inputs["f"], fields["u"]))
        equation = _Equation(a, f, self.growth)
        z = a * u + self.growth * u**3 / 3
        operators, weight = equation.jacobian(z)
        left = -self.equations({"a": a, "f": f}, {"u": u})["u"]
        return {"u": equation.temperature(z + weight * solve(Systems(operators, left)))}

    def rounding(self, inputs: Mapping[str, np.ndarray], fields: Mapping[str, np.ndarray]) -> np.ndarray:
        """Return ``‖(|A| + β |L| diag(u²)) |u|‖ / ‖f‖``, A and L without their signs; see `Problem.rounding`."""
        a, u = inputs["a"].astype(np.float64), np.abs(fields["u"].astype(np.float64))
        total = outflow(a, u, operator.add) + outflow(self.growth, u**3, operator.add)
        found: np.ndarray = norms(total) / norms(inputs["f"].astype(np.float64))
        return found


class _Equation:
    """The discrete equations A u + β L u³/3 = f of a block of samples as ones for z = a u + β u³/3."""

    def __init__(self, a: np.ndarray, f: np.ndarray, growth: float) -> None:
        self.a, self.f, self.growth = a, f, growth
        self.linear, self.cubic = diffusion(a), diffusion(np.broadcast_to(growth, a.shape))

    def temperature(self, z: np.ndarray) -> np.ndarray:
        """Return u, the real root of the cubic equation."""
        ratio = np.sqrt(self.a / self.growth)
        u: np.ndarray = 2 * ratio * np.sinh(np.arcsinh(1.5 * z / (self.a * ratio)) / 3)
        return u

    def defect(self, z: np.ndarray) -> np.ndarray:
        """Return F."""
        u = self.temperature(z)
        linear, cubic = self.linear.matvec, self.cubic.matvec
        return np.stack([self.f[i] - linear(i, v) - cubic(i, v**3 / 3) for i, v in enumerate(u)])

    def jacobian(self, z: np.ndarray) -> tuple[Stencil, np.ndarray]:
        """Return `matrices` where z is, and what turns y into a step of z."""
        u = self.temperature(z)
        return self.matrices(u), (self.a + self.growth * u**2) / self.scale(u)

    def matrices(self, u: np.ndarray) -> Stencil:
        """Return the matrices for y = (α + β u²) δ, δ a step of u."""
        scale = self.scale(u)
        return Stencil(self.columns(1 / scale, u**2 / scale), definite=True)

    def scale(self, u: np.ndarray) -> np.ndarray:
        """Return α + β u²."""
        scale: np.ndarray = 1 / np.mean(1 / self.a, axis=(1, 2), keepdims=True) + self.growth * u**2
        return scale

    def columns(self, linear: np.ndarray, cubic: np.ndarray) -> np.ndarray:
        """Return the coefficients of A and of β L, their columns multiplied by ``(n, ny, nx)`` weights, and added."""
        c = np.zeros(self.linear.coefficients.shape)
        for operators, weight in ((self.linear, linear), (self.cubic, cubic)):
            given = operators.coefficients
            c[:, 0] += given[:, 0] * weight
            for axis in (1, 2):
                lower = (slice(None),) * axis + (slice(None, -1),)
                upper = (slice(None),) * axis + (slice(1, None),)
                c[:, 2 * axis - 1][upper] += given[:, 2 * axis - 1][upper] * weight[lower]
                c[:, 2 * axis][lower] += given[:, 2 * axis][lower] * weight[upper]
        return c
