from __future__ import annotations

from typing import ClassVar, Literal

import numpy as np
from pydantic import Field

from ritz.compute.kind import Source, in_units
from ritz.compute.solvers.backtracking import backtracked, rows
from ritz.compute.solvers.minimisers.energy import Energy
from ritz.compute.solvers.minimisers.minimiser import Minimiser, Solve, lowered
from ritz.compute.solvers.scaling import norms
from ritz.compute.solvers.systems import Systems

_DECREASE = 1e-4
"""Least share of what the slope promises by which the energy has to fall."""

_RELAXED = 4.0
"""By how much θ/λ^⅔ is taken smaller in the next step: steps become whole ones where they may."""


class DampedNewton(Minimiser):
    """Newton's method by parts 1/(1 + θ) of its steps, θ = σ λ^⅔ with λ the Newton decrement: ⟨g, H⁻¹ g⟩ = λ².

    Near the minimum λ vanishes and steps become whole. With backtracking, the default, σ begins at 0; where a part does
    not lower the energy it is halved, which sets σ, and the next step begins with a quarter of that. With a given
    `smoothness` nothing is tried: σ is known.

    A step poses one batch of systems H y = −g, symmetric definite.

    Source: S. Hanzely, F. Abdukhakimov, M. Takáč, "Damped Newton method with near-optimal global O(k⁻³) convergence
    rate", arXiv 2405.18926, for third derivatives that are Lipschitz continuous in the norms of the Hessians (q = 4):
    with a constant M of these σ = (9 M)^⅓ suffices. The condition of the backtracking here is Armijo's.
    """

    sources: ClassVar[tuple[Source, ...]] = (
        Source(
            "S. Hanzely, F. Abdukhakimov, M. Takáč",
            "Damped Newton method with near-optimal global O(k⁻³) convergence rate",
            2024,
            "arXiv 2405.18926",
            "f − f* falls like k⁻³ or faster before steps are whole, with backtracking as with known constants",
            "newton.txt",
        ),
    )

    kind: Literal["newton"] = "newton"
    steps: int = Field(default=50, ge=1, le=10_000, json_schema_extra=in_units("steps"))
    """Most steps."""
    smoothness: float | None = Field(default=None, ge=0)
    """σ of all steps; found by backtracking where it is not given."""

    def minimise(
        self, energy: Energy, x: np.ndarray, solve: Solve, *, bound: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """Minimise by one batch of systems a step; see `Minimiser.minimise`."""

        def left_over(x: np.ndarray) -> np.ndarray:
            return -energy.gradient(x)

        left, lost = left_over(x), np.zeros(len(x), dtype=bool)
        sigma = np.full(len(x), self.smoothness or 0.0)
        for _ in range(self.steps):
            wanted = (norms(left) > bound) & ~lost
            if not wanted.any():
                break
            change = solve(Systems(energy.hessian(x), np.where(rows(wanted, left), left, 0.0)))
            slope = np.sum(left * change, axis=tuple(range(1, x.ndim)))
            down = wanted & (slope > 0)
            # λ^⅔; one for samples that do not move.
            size = np.cbrt(np.where(down, slope, 1.0))
            enough = _always if self.smoothness is not None else lowered(energy, energy.value(x), slope, _DECREASE)
            stepped = backtracked(x, change, left, down, left_over, enough, 1 / (1 + sigma * size))
            x, left, lost = stepped.x, stepped.left, lost | stepped.stuck | (wanted & ~down)
            if self.smoothness is None:
                sigma = np.where(down, (1 / stepped.parts - 1) / size / _RELAXED, sigma)
        return x, lost | (norms(left) > bound)


def _always(x: np.ndarray, left: np.ndarray, parts: np.ndarray) -> np.ndarray:
    """Take every part: what is enough with a known smoothness."""
    del x, left
    return np.ones(len(parts), dtype=bool)
