from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, ClassVar, Literal

import numpy as np
from pydantic import Field

from ritz.compute.kind import Fault, Source, in_units
from ritz.compute.problems import box, physics
from ritz.compute.problems.balance import at_walls, outflow
from ritz.compute.problems.evolution import Evolution, State
from ritz.compute.problems.gaussian import Gaussian
from ritz.compute.problems.laws import AnyLaw, Lognormal, law_faults
from ritz.compute.problems.problem import Arrays, Solve
from ritz.compute.problems.spectrum import leading_cosines
from ritz.compute.solvers.assembly import diffusion, shifted
from ritz.compute.solvers.scaling import norms
from ritz.compute.solvers.systems import Systems

if TYPE_CHECKING:
    import torch
    import xarray as xr


class Heat(Evolution):
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

    kind: Literal["heat"] = "heat"
    shape: tuple[box.Cells, box.Cells] = Field(default=(64, 64), json_schema_extra=in_units("cells"))
    """Cells along y and x."""
    steps: int = Field(default=16, ge=1, le=10_000, json_schema_extra=in_units("time steps"))
    """Time steps, the first in two halves; all states are stored."""
    end: float = Field(default=0.05, gt=0, le=1000)
    """T. For a = 1 the slowest mode falls by exp(−2π²T), to 0.37 with the default."""
    law: AnyLaw = Lognormal()
    """Distribution of the diffusivity."""
    initial: Gaussian = Gaussian(tau=5.0, alpha=3.0)
    """Distribution of the first state, of variance 1 and zero at the boundary."""

    def faults(self) -> Iterator[Fault]:
        """Yield a law that is not for so many dimensions; see `Kind.faults`."""
        yield from law_faults(self.law, len(self.shape))

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
                "u": (("sample", "time", "y", "x"), nothing, about_u),
            },
            coords={
                "time": ("time", self.times, {"units": "1", "long_name": "time", "axis": "T"}),
                **box.coordinates(self.shape),
            },
            attrs={"symmetries": box.symmetries(self.shape)},
        )

    def draw(self, seed: int, ids: np.ndarray) -> Arrays:
        """Draw diffusivities and first states, ``a`` and ``u0`` ``(n, ny, nx)`` float32; see `Problem.draw`."""
        return {
            "a": self.law.draw(seed, ids, self.shape).astype(np.float32),
            "u0": self.initial.draw(seed, ids, self.shape, "zero").astype(np.float32),
        }

    def features(self, inputs: Mapping[str, np.ndarray]) -> np.ndarray:
        """Return the 16 leading cosine coefficients of log a, ``(n, 16)`` float32: they set the matrix."""
        return leading_cosines(np.log(inputs["a"].astype(np.float64)))

    @property
    def times(self) -> np.ndarray:
        """Return Δt/2, Δt, 2Δt, 3Δt, …, T; see `Evolution.times`."""
        return self.end / self.steps * np.array([0.5, *range(1, self.steps + 1)])

    def start(self, inputs: Mapping[str, np.ndarray]) -> State:
        """Return u0; see `Evolution.start`."""
        return State(0, {"u": inputs["u0"].astype(np.float64)})

    def step(self, state: State, inputs: Mapping[str, np.ndarray], solve: Solve) -> State:
        """Take a step, the first two half as long as the others; see `Evolution.step`."""
        rate, now = 2 * self.steps / self.end, state.fields["u"]
        operators = state.aside.get("operators")
        if operators is None:
            operators = shifted(diffusion(inputs["a"]), rate, definite=True)
        # Half a step further on: there lie the end of a half step and the mean of a whole one.
        w = solve(Systems(operators, rate * now, guess=now + state.aside.get("half a step", np.zeros_like(now))))
        then = w if state.step < 2 else 2 * w - now
        return State(state.step + 1, {"u": then}, {"operators": operators, "half a step": w - now})

    def residual(self, inputs: Mapping[str, np.ndarray], fields: Mapping[str, np.ndarray]) -> np.ndarray:
        """Return the relative residuals of the worst step, from the balance of heat over every cell.

        That of a step is ``‖uⁿ − w − Δt/2 A w‖ / ‖uⁿ‖``, w being uⁿ⁺¹ in the two half steps and (uⁿ + uⁿ⁺¹)/2 in the
        others; see `Problem.residual`.
        """
        return np.max([norms(left_over) for left_over in self._left_over(inputs, fields)], axis=0)

    def boundary(self, inputs: Mapping[str, np.ndarray], fields: Mapping[str, np.ndarray]) -> np.ndarray:
        """Return the residual of the first half step, or of the cells along the walls in a later one if it is larger.

        See `Problem.boundary`.
        """
        steps = enumerate(self._left_over(inputs, fields))
        return np.max([norms(at_walls(left_over) if step else left_over) for step, left_over in steps], axis=0)

    def _left_over(self, inputs: Mapping[str, np.ndarray], fields: Mapping[str, np.ndarray]) -> Iterator[np.ndarray]:
        """Yield what every step leaves over of its equations, relative to the norm of its right-hand side."""
        a, half = inputs["a"].astype(np.float64), 0.5 * self.end / self.steps
        for now, w in _steps(inputs["u0"], fields["u"]):
            yield (now - w - half * outflow(a, w)) / norms(now)[:, None, None]

    def rounding(self, inputs: Mapping[str, np.ndarray], fields: Mapping[str, np.ndarray]) -> np.ndarray:
        """Return ``‖|uⁿ| + (I + Δt/2 |A|) |w|‖ / ‖uⁿ‖`` of the worst step; see `Problem.rounding`.

        For a mean, ``|w|`` is that of the magnitudes of the two states.
        """
        a, half = inputs["a"].astype(np.float64), 0.5 * self.end / self.steps
        worst = np.zeros(len(a))
        for now, w in _steps(np.abs(inputs["u0"]), np.abs(fields["u"])):
            worst = np.maximum(worst, norms(now + w + half * outflow(a, w, np.add)) / norms(now))
        return worst

    def penalty(self, inputs: Mapping[str, torch.Tensor], fields: Mapping[str, torch.Tensor]) -> torch.Tensor:
        """Return the relative residuals, averaged over the steps and differentiable; see `Problem.penalty`.

        That of a step is relative to the state before it as it was predicted, which no gradient goes through.
        """
        import torch

        states = torch.cat([inputs["u0"][:, None], fields["u"]], dim=1)
        now, then = states[:, :-1], states[:, 1:]
        w = torch.cat([then[:, :2], 0.5 * (now + then)[:, 2:]], dim=1)
        a = inputs["a"][:, None].expand_as(w).flatten(0, 1)
        half = 0.5 * self.end / self.steps
        left_over = (now - w).flatten(0, 1) - half * physics.outflow(a, w.flatten(0, 1))
        size = physics.norms(now.flatten(0, 1)).detach().clamp_min(1e-30)
        return (physics.norms(left_over) / size).reshape(len(states), -1).mean(dim=1)


def _steps(u0: np.ndarray, u: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yield the state before every step and what its system is solved for: the state after it, or the mean."""
    now = u0.astype(np.float64)
    for step in range(u.shape[1]):
        then = u[:, step].astype(np.float64)
        yield now, then if step < 2 else 0.5 * (now + then)
        now = then
