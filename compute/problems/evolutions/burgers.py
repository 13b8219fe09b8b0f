from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, ClassVar, Literal

import numpy as np
from pydantic import Field

from ritz.compute.fields.arrays import Array, double, roll
from ritz.compute.kind import Source, in_units
from ritz.compute.problems.box import grid
from ritz.compute.problems.box.torus import star
from ritz.compute.problems.evolution import State, from_input
from ritz.compute.problems.evolutions.schemes.equal_steps import EqualSteps
from ritz.compute.problems.gaussian import Gaussian
from ritz.compute.problems.iterated import Iterated
from ritz.compute.problems.problem import Arrays, Solve
from ritz.compute.problems.sizes import size
from ritz.compute.problems.spectrum import leading_cosines
from ritz.compute.solvers.newton import newton
from ritz.compute.solvers.operators import Matrices
from ritz.compute.solvers.scaling import norms

if TYPE_CHECKING:
    import xarray as xr

_ITERATIONS = 20


class Burgers(Iterated, EqualSteps):
    """Steepening and decaying waves on a ring: velocity u over time from the first state u0.

    Equation
        ∂u/∂t + ∂(u²/2)/∂x = ν ∂²u/∂x² on (0, 1), periodic, for 0 < t ≤ T, u = u0 at t = 0. All quantities are
        dimensionless. The mean of u0 is zero; one that is not would only move the solution along.
    Discretisation
        In space finite volumes of width h with the flux (p² + pq + q²)/6 − ν(q − p)/h between cells of values p and q:
        second order, conserves Σu, and convection leaves Σu² alone. Waves keep from wiggling while max|u| h ≲ 2ν.
        In time ``steps`` equal steps Δt = T/steps of the implicit midpoint rule: the mean w of a step solves
        w + Δt/2 N(w) = uⁿ with N the sum of the fluxes out of a cell over h, and uⁿ⁺¹ = 2w − uⁿ. Second order in Δt,
        and ‖u‖ falls in every step of any length.
    Systems
        Newton's method for w, begun where the step before points; one batch of cyclic tridiagonal systems an
        iteration. A sample that has reached ``tolerance`` gets a zero right-hand side, so its fields do not depend on
        the others in its block. One that has not after 20 iterations begins again, with steps that are halved until the
        defect falls, and is NaN from there on if 20 of these do not suffice, hence recorded as failed.
    Arrays
        Input ``u0``, ``(sample, x)``, and output ``u``, ``(sample, time, x)``, float32; cell i of ``points`` has its
        centre at x = (i + ½)/points. ``u`` holds the state after every step, at the times Δt, 2Δt, …, T, so that the
        steps can be checked from what is stored.

    Source: the periodic Burgers problem of Li et al., "Fourier neural operator", ICLR 2021, 5.1, where ν = 0.1, T = 1
    and u0 has the covariance 625 (−Δ + 25)⁻²: that is τ = 5, α = 2 and, without the constant, an ``amplitude`` of 0.6.
    The flux: E. Tadmor, "The numerical viscosity of entropy stable schemes for systems of conservation laws. I",
    Math. Comp. 49 (1987).
    """

    sources: ClassVar[tuple[Source, ...]] = (
        Source(
            "Li et al.",
            "Fourier neural operator for parametric partial differential equations",
            2021,
            "ICLR",
            "0.0025 relative L2 at 1024 points, the same at others",
            "burgers.txt",
        ),
        Source(
            "E. Tadmor",
            "The numerical viscosity of entropy stable schemes for systems of conservation laws. I",
            1987,
            "Math. Comp. 49",
        ),
    )

    kind: Literal["burgers"] = "burgers"
    points: int = Field(default=128, ge=4, le=65536, json_schema_extra=in_units("cells"))
    """Cells along x."""
    viscosity: float = Field(default=0.01, gt=0, le=1000)
    """ν."""
    steps: int = Field(default=32, ge=1, le=10_000, json_schema_extra=in_units("time steps"))
    """Time steps; the state after each is stored."""
    end: float = Field(default=1.0, gt=0, le=1000)
    """T."""
    law: Gaussian = Gaussian(tau=5.0, alpha=2.0)
    """Distribution of the first state, periodic, up to its scale."""
    amplitude: float = Field(default=0.6, gt=0, le=1000)
    """Standard deviation of the first state."""
    tolerance: float = Field(default=1e-10, ge=1e-13, le=1e-3)
    """Largest ``‖uⁿ − w − Δt/2 N(w)‖ / ‖uⁿ‖`` at which Newton's method stops."""

    def template(self, n: int) -> xr.Dataset:
        """Describe ``n`` samples; see `Problem.template`."""
        import xarray as xr

        nothing = np.broadcast_to(np.float32(np.nan), (n, self.steps, self.points))
        about_u0 = {"role": "input", "transform": "identity", "units": "1", "long_name": "first velocity"}
        about_u = {"role": "output", "transform": "identity", "units": "1", "long_name": "velocity"}
        centres = grid.centres(self.points)
        return xr.Dataset(
            {
                "u0": (("sample", "x"), nothing[:, 0], about_u0),
                "u": (("sample", "time", "x"), nothing, about_u | from_input("u0")),
            },
            coords={
                "time": ("time", self.times, {"units": "1", "long_name": "time", "axis": "T"}),
                "x": ("x", centres, {"units": "1", "long_name": "centre of the cell", "axis": "X"}),
            },
            # A mirrored solution has the other sign.
            attrs={"symmetries": "none"},
        )

    def draw(self, seed: int, ids: np.ndarray) -> Arrays:
        """Draw first states, ``u0`` ``(n, points)`` float32; see `Problem.draw`."""
        return self.draw_at(seed, ids, None)

    @property
    def leading(self) -> int:
        """How many leading coefficients of u₀ may be given; see `Problem.leading`."""
        return self.law.leading(1, "periodic")

    def draw_at(self, seed: int, ids: np.ndarray, given: np.ndarray | None) -> Arrays:
        """Draw with given leading coefficients; see `Problem.draw_at`."""
        drawn = self.law.draw(seed, ids, (self.points,), "periodic", given=given)
        return {"u0": (self.amplitude * drawn).astype(np.float32)}

    def features(self, inputs: Mapping[str, np.ndarray]) -> np.ndarray:
        """Return the 16 leading cosine coefficients of the first state, ``(n, 16)`` float32."""
        return leading_cosines(inputs["u0"])

    def conserved(self, inputs: Mapping[str, Array], fields: Mapping[str, Array]) -> dict[str, Array]:
        """Return u, whose integral stays; see `Evolution.conserved`."""
        del inputs
        return {"integral": fields["u"]}

    def start(self, inputs: Mapping[str, Array]) -> State:
        """Return u0; see `Evolution.start`."""
        return State(0, {"u": double(inputs["u0"])})

    def step(self, state: State, inputs: Mapping[str, np.ndarray], solve: Solve) -> State:
        """Take a step; samples for which Newton's method does not converge are NaN. See `Evolution.step`."""
        del inputs
        now = state.fields["u"]
        w, lost = newton(
            lambda w: self._defect(now, w),
            lambda w: (self._derivatives(w), 1.0),
            now + state.aside.get("half a step", np.zeros_like(now)),
            solve,
            bound=self.tolerance * norms(now),
            steps=_ITERATIONS - 1,
            whole=True,
        )
        w = self.without_lost(w, lost)
        return State(state.step + 1, {"u": 2 * w - now}, {"half a step": w - now})

    def _defect(self, now: np.ndarray, w: np.ndarray) -> np.ndarray:
        """Return ``now − w − Δt/2 N(w)``.

        N_i(w) = s_i (w₊ − w₋) − ν (w₋ − 2 w_i + w₊)/h² with s_i = (w₋ + w_i + w₊)/6h, the neighbours being w₋ and w₊:
        the differences of the fluxes, multiplied out.
        """
        half, cells = 0.5 * self.interval, self.points
        spread = self.viscosity * cells**2
        left, right = np.roll(w, 1, axis=1), np.roll(w, -1, axis=1)
        # Where Newton's method diverges the squares overflow; that sample ends as NaN.
        with np.errstate(over="ignore", invalid="ignore"):
            net = (left + w + right) * cells / 6 * (right - left) - spread * (left - 2 * w + right)
            defect: np.ndarray = now - w - half * net
        return defect

    def _derivatives(self, w: np.ndarray) -> Matrices:
        """Return the derivatives of w + Δt/2 N(w)."""
        half, cells = 0.5 * self.interval, self.points
        spread = self.viscosity * cells**2
        left, right = np.roll(w, 1, axis=1), np.roll(w, -1, axis=1)
        speed, slope = (left + w + right) * cells / 6, (right - left) * cells / 6
        ring = star((cells,))
        values = np.empty((len(w), 3 * cells))
        values[:, ring.local[0, 0]] = 1 + half * (slope + 2 * spread)
        values[:, ring.across[0, 0]] = half * (slope - speed - spread)
        values[:, ring.across[0, 1]] = half * (slope + speed - spread)
        return Matrices(values, ring.pattern, (cells,))

    def step_equations(
        self,
        inputs: Mapping[str, Array],
        before: Mapping[str, Array],
        after: Mapping[str, Array],
        steps: np.ndarray,
    ) -> dict[str, Array]:
        """Return ``w + Δt/2 N(w) − uⁿ``, w = (uⁿ + uⁿ⁺¹)/2, from the fluxes between the cells.

        See `Evolution.step_equations`.
        """
        del inputs, steps
        now, w = before["u"], 0.5 * (before["u"] + after["u"])
        q = roll(w, -1, axis=-1)
        flux = (w**2 + w * q + q**2) / 6 - self.viscosity * self.points * (q - w)
        rate = 0.5 * self.interval * self.points
        return {"u": w + rate * (flux - roll(flux, 1, axis=-1)) - now}

    def conditions(self) -> dict[str, np.ndarray]:
        """Return the two cells beside x = 0; see `Problem.conditions`."""
        cells = np.zeros(self.points, dtype=bool)
        cells[[0, -1]] = True
        return {"u": cells}

    @property
    def rings(self) -> tuple[str, ...]:
        """The line closes to a ring."""
        return ("x",)

    def step_linearised(self, inputs: Arrays, before: Arrays, after: Arrays, step: int) -> Matrices:
        """Return ½ (I + Δt/2 N′(w)); see `Evolution.step_linearised`."""
        del inputs, step
        matrices = self._derivatives(0.5 * (before["u"] + after["u"]))
        return replace(matrices, values=0.5 * matrices.values)

    def rounding(self, inputs: Mapping[str, np.ndarray], fields: Mapping[str, np.ndarray]) -> np.ndarray:
        """Return ``‖|uⁿ| + (I + Δt/2 |N′(w)|) |w|‖ / ‖uⁿ‖`` of the worst step; see `Problem.rounding`.

        N′ is the derivative of N, and both w are means of magnitudes.
        """
        spread = self.viscosity * self.points**2
        sizes = {name: np.abs(double(values)) for name, values in (*inputs.items(), *fields.items())}
        found = []
        for before, after, _ in self.pieces(sizes, {"u": sizes["u"]}):
            now, w = before["u"], 0.5 * (before["u"] + after["u"])
            left, right = np.roll(w, 1, axis=2), np.roll(w, -1, axis=2)
            speed, slope = (left + w + right) * self.points / 6, (left + right) * self.points / 6
            change = (slope + 2 * spread) * w + (slope + speed + spread) * (left + right)
            total = now + w + 0.5 * self.interval * change
            found.append(size(total, axes=2) / size(now, axes=2))
        worst: np.ndarray = np.concatenate(found, axis=1).max(axis=1)
        return worst
