"""Incomplete factors of an operator, on the pattern of the matrix or with levels of fill."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from ritz.compute.solvers.operators import Operators, Pattern
from ritz.compute.solvers.preconditioners.inverse import ApproximateInverse
from ritz.compute.solvers.preconditioners.sweeps import pattern_sweeps, stencil_sweeps
from ritz.compute.solvers.preconditioners.sweeps.splitting import (
    coefficients,
    grid,
    has_sweeps,
    layout,
    pattern_split,
    stencil_split,
)
from ritz.compute.solvers.preconditioners.work import SPLIT


@dataclass(frozen=True)
class Factored:
    """Incomplete factors.

    Attributes
    ----------
    pivots
        ``(n,)`` the diagonal of the upper one.
    inverse
        Returns the inverse of their product.
    """

    pivots: np.ndarray
    inverse: Callable[[], ApproximateInverse]


def factored(operators: Operators, i: int, fill: int) -> Factored:
    """Return the incomplete factors of operator ``i`` with so many levels of fill."""
    if has_sweeps(operators) and not fill:
        pivots = stencil_sweeps.pivots(coefficients(operators, i), grid(operators.shape), len(operators.shape))
        return Factored(pivots, lambda: stencil_split(operators, i, pivots, 1.5 * SPLIT))
    pattern, entries = operators.pattern, np.require(operators.entries(i), requirements=["C", "W"])
    if fill:
        pattern, places = _filled(operators.pattern, fill)
        given, entries = entries, np.zeros(len(pattern.indices), operators.dtype)
        entries[places] = given
    about = layout(pattern)
    factors = pattern_sweeps.factor(entries, about.indptr, about.indices, about.diagonal)
    return Factored(factors[about.diagonal], lambda: pattern_split(operators, i, pattern, factors))


@lru_cache(maxsize=16)
def _filled(pattern: Pattern, fill: int) -> tuple[Pattern, np.ndarray]:
    """Return the pattern with levels of fill, and where in it the entries of the given one are."""
    about = layout(pattern)
    indptr, indices, levels = pattern_sweeps.filled(about.indptr, about.indices, fill)
    return Pattern(indptr.astype(np.int32), indices.astype(np.int32)), np.flatnonzero(levels == 0)
