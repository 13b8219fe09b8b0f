from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable

import numpy as np

from ritz.compute.kind import Kind
from ritz.compute.solvers.backtracking import Enough
from ritz.compute.solvers.minimisers.energy import Energy
from ritz.compute.solvers.systems import Systems

Solve = Callable[[Systems], np.ndarray]
"""Answers a batch of systems, one per sample: any `ritz.compute.solvers.solver.Solver` with its carry."""

_ROUNDING = 64 * np.finfo(np.float64).eps
"""By how much of itself an energy may seem to rise: so close to the minimum its changes are rounding."""


class Minimiser(Kind, ABC):
    """Finds the minima of convex energies, one per sample, by a batch of linear systems a step."""

    kind: str

    @abstractmethod
    def minimise(
        self, energy: Energy, x: np.ndarray, solve: Solve, *, bound: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """Minimise; what is done for a sample does not depend on the others of the block.

        Parameters
        ----------
        energy
            What to minimise.
        x
            ``(n, *shape)`` float64, where to begin.
        solve
            Answers a batch of systems at each call. A sample that is done has a zero right-hand side.
        bound
            (n,), the norms of the gradient at which samples are done.

        Returns
        -------
        x
            The minima.
        lost
            (n,) bool, which samples have not come there: after all steps, with a system that had no answer, or where no
            part of a step lowers the energy.
        """


def lowered(energy: Energy, before: np.ndarray, slope: np.ndarray, share: float) -> Enough:
    """Return whether parts of steps lower the energies enough, by a share of what the slopes promise.

    Parameters
    ----------
    energy
        Of the block.
    before
        (n,), the energies before the steps.
    slope
        (n,), minus the derivatives along the steps.
    share
        Between 0 and 1; with ½ a part is not longer than the inverse of the curvature along its step.
    """

    def enough(x: np.ndarray, _: np.ndarray, parts: np.ndarray) -> np.ndarray:
        value = energy.value(x)
        noise = _ROUNDING * np.maximum(np.abs(before), np.abs(value))
        found: np.ndarray = value <= before - share * parts * slope + noise
        return found

    return enough
