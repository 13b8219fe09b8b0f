from __future__ import annotations

import operator
from collections.abc import Mapping
from typing import TYPE_CHECKING, ClassVar, Literal

import numpy as np
from pydantic import Field

from ritz.compute.fields.arrays import Array, double, like
from ritz.compute.kind import Source, in_units
from ritz.compute.problems.balance import outflow
from ritz.compute.problems.box import grid, walls
from ritz.compute.problems.evolution import Evolution, State, from_input
from ritz.compute.problems.gaussian import Gaussian, parted, shared
from ritz.compute.problems.laws import AnyLaw, InMedium, Lognormal
from ritz.compute.problems.problem import Arrays, Solve
from ritz.compute.problems.sizes import size
from ritz.compute.problems.spectrum import leading_cosines
from ritz.compute.solvers.assembly import diffusion, with_reaction
from ritz.compute.solvers.operators import Stencil
from ritz.compute.solvers.systems import Systems

if TYPE_CHECKING:
    import xarray as xr


class Heat(InMedium, walls.InBox, Evolution):
    """Cooling of an uneven plate with cold edges: temperature u over time from diffusivity a and first state u0.

    Equation
        ∂u/∂t = ∇·(a ∇u) on (0, 1)² for 0 < t ≤ T, u = 0 on the boundary, u = u0 at t = 0. All quantities are
        dimensionless.
    Discretisation
        In space cell-centred finite volumes with the 5-point stencil A and harmonic means of ``a`` at faces; a
        boundary face lies half a cell from the centre. Second order in the cell width for smooth ``a``.
        In time ``steps`` equal steps Δt = T/steps. The first is two halves of backward Euler, (I + Δt/2 A) uⁿ⁺¹ = uⁿ,
        which damp what a rough ``a`` excites; the others are the implicit midpoint rule, here the same as
        Crank–Nicolson: the mean w of a step solves (I + Δt/2 A) w = uⁿ, and uⁿ⁺¹ = 2w − uⁿ. Second order in Δt, stable
        at any Δt; ‖u‖ falls in every step.
    Systems
        One a step, (2/Δt + A) w = 2/Δt uⁿ, for half steps too. The matrix of a sample is the same in all steps (the
        operators are one object), and the guess goes on as the step before did.
    Arrays
        Inputs ``a`` and ``u0``, ``(sample, y, x)``, and output ``u``, ``(sample, time, y, x)``, float32; the cell
        ``(i, j)`` of a grid of ``shape = (ny, nx)`` has its centre at y = (i + ½)/ny, x = (j + ½)/nx. ``u`` holds
        every state that was solved for, so that the steps can be checked from what is stored: at the ``steps + 1``
        times Δt/2, Δt, 2Δt, 3Δt, …, T.

    Source: R. Rannacher, "Finite element solution of diffusion problems with irregular data", Numer. Math. 43 (1984),
    for the first step.
    """

    sources: ClassVar[tuple[Source, ...]] = (
        Source(
            "R. Rannacher", "Finite element solution of diffusion problems with irregular data", 1984, "Numer. Math. 43"
        ),
    )

    conductivity: ClassVar[str] = "a"

    kind: Literal["heat"] = "heat"
    shape: tuple[grid.Cells, grid.Cells] = Field(default=(64, 64), json_schema_extra=in_units("cells"))
    """Cells along y and x."""
    steps: int = Field(default=16, ge=1, le=10_000, json_schema_extra=in_units("time steps"))
    """Time steps, the first in two halves; all states are stored."""
    end: float = Field(default=0.05, gt=0, le=1000)
    """T. For a = 1 the slowest mode falls by exp(−2π²T), to 0.37 with the default."""
    law: AnyLaw = Lognormal()
    """Distribution of the diffusivity."""
    initial: Gaussian = Gaussian(tau=5.0, alpha=3.0)
    """Distribution of the first state, of variance 1 and zero at the boundary."""

    def template(self, n: int) -> xr.Dataset:
        """Describe ``n`` samples; see `Problem.template`."""
        import xarray as xr

        nothing = np.broadcast_to(np.float32(np.nan), (n, self.steps + 1, *self.shape))
        dims = ("sample", "y", "x")
        about_a = {"role": "input", "transform": "log", "units": "1", "long_name": "diffusivity"}
        about_u0 = {"role": "input", "transform": "identity", "units": "1", "long_name": "first temperature"}
        about_u = {"role": "output", "transform": "identity", "units": "1", "long_name": "temperature"}
        return xr.Dataset(
            {
                "a": (dims, nothing[:, 0], about_a),
                "u0": (dims, nothing[:, 0], about_u0),
                "u": (("sample", "time", "y", "x"), nothing, about_u | from_input("u0")),
            },
            coords={
                "time": ("time", self.times, {"units": "1", "long_name": "time", "axis": "T"}),
                **grid.coordinates(self.shape),
            },
            attrs={"symmetries": grid.symmetries(self.shape)},
        )

    def draw(self, seed: int, ids: np.ndarray) -> Arrays:
        """Draw diffusivities and first states, ``a`` and ``u0`` ``(n, ny, nx)`` float32; see `Problem.draw`."""
        return self.draw_at(seed, ids, None)

    @property
    def _shares(self) -> tuple[int, ...]:
        return shared((self.law.leading(2), self.initial.leading(2, "zero")))

    @property
    def leading(self) -> int:
        """How many leading coefficients of log a and of u₀ may be given; see `Problem.leading`."""
        return sum(self._shares)

    def draw_at(self, seed: int, ids: np.ndarray, given: np.ndarray | None) -> Arrays:
        """Draw with given leading coefficients, those of log a first; see `Problem.draw_at`."""
        first, rest = parted(given, self._shares)
        return {
            "a": self.law.draw_at(seed, ids, self.shape, first).astype(np.float32),
            "u0": self.initial.draw(seed, ids, self.shape, "zero", given=rest).astype(np.float32),
        }

    def features(self, inputs: Mapping[str, np.ndarray]) -> np.ndarray:
        """Return the 16 leading cosine coefficients of log a, ``(n, 16)`` float32: they set the matrix."""
        return leading_cosines(np.log(inputs["a"].astype(np.float64)))

    @property
    def times(self) -> np.ndarray:
        """Return Δt/2, Δt, 2Δt, 3Δt, …, T; see `Evolution.times`."""
        return self.end / self.steps * np.array([0.5, *range(1, self.steps + 1)])

    def start(self, inputs: Mapping[str, Array]) -> State:
        """Return u0; see `Evolution.start`."""
        return State(0, {"u": double(inputs["u0"])})

    def step(self, state: State, inputs: Mapping[str, np.ndarray], solve: Solve) -> State:
        """Take a step, the first two half as long as the others; see `Evolution.step`."""
        rate, now = 2 * self.steps / self.end, state.fields["u"]
        operators = state.aside.get("operators")
        if operators is None:
            operators = with_reaction(diffusion(inputs["a"]), rate, definite=True)
        # Half a step further on: there lie the end of a half step and the mean of a whole one.
        w = solve(Systems(operators, rate * now, guess=now + state.aside.get("half a step", np.zeros_like(now))))
        then = w if state.step < 2 else 2 * w - now
        return State(state.step + 1, {"u": then}, {"operators": operators, "half a step": w - now})

    def step_equations(
        self,
        inputs: Mapping[str, Array],
        before: Mapping[str, Array],
        after: Mapping[str, Array],
        steps: np.ndarray,
    ) -> dict[str, Array]:
        """Return ``w + Δt/2 A w − uⁿ`` from the balance of heat over every cell; see `Evolution.step_equations`.

        w is uⁿ⁺¹ in the two half steps and (uⁿ + uⁿ⁺¹)/2 in the others.
        """
        now, w = before["u"], _mean(before["u"], after["u"], steps)
        return {"u": w + 0.5 * self.end / self.steps * outflow(inputs["a"][:, None], w, space=2) - now}

    def step_linearised(self, inputs: Arrays, before: Arrays, after: Arrays, step: int) -> Stencil:
        """Return ``I + Δt/2 A``, or half of it where w is a mean; see `Evolution.step_linearised`."""
        del before, after
        share = 1.0 if step < 2 else 0.5
        rate = diffusion(share * 0.5 * self.end / self.steps * inputs["a"])
        return with_reaction(rate, share, definite=True)

    def same_derivatives(self, step: int) -> int:
        """Return 0 for the two half steps and 2 for the others; see `Evolution.same_derivatives`."""
        return 0 if step < 2 else 2

    def rounding(self, inputs: Mapping[str, np.ndarray], fields: Mapping[str, np.ndarray]) -> np.ndarray:
        """Return ``‖|uⁿ| + (I + Δt/2 |A|) |w|‖ / ‖uⁿ‖`` of the worst step; see `Problem.rounding`.

        For a mean, ``|w|`` is that of the magnitudes of the two states.
        """
        a, half = double(inputs["a"])[:, None], 0.5 * self.end / self.steps
        sizes = {name: np.abs(double(values)) for name, values in (*inputs.items(), *fields.items())}
        found = []
        for before, after, steps in self.pieces(sizes, {"u": sizes["u"]}):
            now, w = before["u"], _mean(before["u"], after["u"], steps)
            total = now + w + half * outflow(a, w, operator.add, space=2)
            found.append(size(total, axes=2) / size(now, axes=2))
        worst: np.ndarray = np.concatenate(found, axis=1).max(axis=1)
        return worst


def _mean(now: Array, then: Array, steps: np.ndarray) -> Array:
    """Return what the system of every step is solved for: in the two half steps the state after it, else the mean."""
    late = like(np.where(steps < 2, 1.0, 0.5).reshape(-1, 1, 1), now)
    return late * then + (1 - late) * now
