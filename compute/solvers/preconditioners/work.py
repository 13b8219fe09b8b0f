"""The work of preconditioners, in passes over a vector; see `ritz.compute.solvers.iterative.guard.Guard`.

One application of ``A M`` by the compiled sweeps of a grid counts as 40 passes. The other figures are relative to that,
from times on grids of 48², 96² and 16³ and a mesh of 2500 nodes; they hold to about a factor of 1.5.
"""

from __future__ import annotations

from ritz.compute.solvers.iterative.guard import APPLICATION
from ritz.compute.solvers.operators import Operators

SWEEP, ROW = 10.0, 4.0
"""Passes that an entry per unknown is worth in a triangular sweep over rows, and in a product with a sparse matrix."""

FACTOR = 60.0
"""Passes that an entry per unknown is worth in an incomplete factorisation over rows."""

SPLIT = 50.0
"""Passes that the splitting of a stencil is worth; its incomplete factors are worth half as much again."""

CYCLE, HIERARCHY = 450.0, 8000.0
"""Passes that a V-cycle of algebraic multigrid and its set-up are worth."""


def per_unknown(operators: Operators) -> float:
    """Return how many entries the operators have per unknown."""
    pattern = operators.pattern
    return len(pattern.indices) / max(pattern.size, 1)


def unpreconditioned(operators: Operators) -> float:
    """Return the work of an application of an operator alone."""
    return ROW * per_unknown(operators)


def row_by_row(operators: Operators, entries: float) -> float:
    """Return the work of an application of ``A M`` with so many entries per unknown of ``M``, one after the other."""
    return APPLICATION + unpreconditioned(operators) + SWEEP * entries
