from __future__ import annotations

from typing import TYPE_CHECKING, Self

from ritz.compute.problems.problem import Problem

_LOOSEST = 1e-3
"""Largest tolerance of an iteration."""


class Iterated(Problem):
    """A problem that Newton's method solves down to its field ``tolerance``, at most 1e-3."""

    if TYPE_CHECKING:
        # Field of a subclass, which keeps its place among its others.
        tolerance: float

    def attained(self, rtol: float) -> float:
        """Return what Newton's method stops at, or ``rtol`` if that is more; see `Problem.attained`."""
        return max(rtol, self.tolerance)

    def loosened(self, rtol: float) -> Self:
        """Return the problem with Newton's method as loose as ``rtol``; see `Problem.loosened`."""
        if self.tolerance >= rtol:
            return self
        return self.model_copy(update={"tolerance": min(rtol, _LOOSEST)})
