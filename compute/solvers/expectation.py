"""In what the figures are given of how long a solver is expected to take, and of the work that it counts."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from ritz.compute.solvers.operators import Operators, Stencil

PASS = 1.6e-10
"""Seconds per unknown that a pass takes: the multiply-add of a long vector with a basis vector. Measured: 1.1e-10 to
2.7e-10 on grids of 48² to 96² and 16³."""


def passes(seconds: float, unknowns: float) -> float:
    """Return the work of what takes so many seconds, in passes; see `ritz.compute.solvers.iterative.guard.Guard`."""
    return seconds / (PASS * unknowns)


class Extent(NamedTuple):
    """How large systems are.

    Attributes
    ----------
    unknowns
        Their number.
    solid
        Whether they lie on a grid in three dimensions.
    grown
        Unknowns relative to those that the figures are for, 128² or 32³.
    """

    unknowns: float
    solid: bool
    grown: float


def extent(operators: Operators) -> Extent:
    """Return how large the systems of operators are."""
    unknowns = float(np.prod(operators.shape))
    solid = len(operators.shape) == 3 and isinstance(operators, Stencil)
    return Extent(unknowns, solid, unknowns / (32_768 if solid else 16_384))
