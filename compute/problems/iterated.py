from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Self

import numpy as np

from ritz.compute.problems.problem import Problem

log = logging.getLogger(__name__)

_LOOSEST = 1e-3
"""Largest tolerance of an iteration."""


class Iterated(Problem):
    """A problem that an iteration, Newton's method say, solves down to its field ``tolerance``, at most 1e-3."""

    if TYPE_CHECKING:
        # Field of a subclass, which keeps its place among its others.
        tolerance: float

    def attained(self, rtol: float) -> float:
        """Return what the iteration stops at, or ``rtol`` if that is more; see `Problem.attained`."""
        return max(rtol, self.tolerance)

    def loosened(self, rtol: float) -> Self:
        """Return the problem with its iteration as loose as ``rtol``; see `Problem.loosened`."""
        if self.tolerance >= rtol:
            return self
        return self.model_copy(update={"tolerance": min(rtol, _LOOSEST)})

    def without_lost(self, x: np.ndarray, lost: np.ndarray) -> np.ndarray:
        """Return answers ``(n, *shape)`` with NaN for samples that the iteration has lost, which the log counts.

        Parameters
        ----------
        x, lost
            As `ritz.compute.solvers.newton.newton` or a minimiser returns them, or what follows from x.
        """
        if not lost.any():
            return x
        log.warning("the iteration did not reach %.1e in %d of %d samples", self.tolerance, lost.sum(), len(x))
        return np.where(lost.reshape(-1, *(1,) * (x.ndim - 1)), np.nan, x)
