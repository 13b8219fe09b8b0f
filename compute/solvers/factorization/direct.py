from __future__ import annotations

import logging
import threading
from typing import Literal

import numpy as np

from ritz.compute.solvers.certify import Fallback
from ritz.compute.solvers.factorization import analysis
from ritz.compute.solvers.factorization.analysis import Library, Solve, analyze, lacks
from ritz.compute.solvers.factorization.elimination import Elimination
from ritz.compute.solvers.factorization.seconds import again, once
from ritz.compute.solvers.kept import Kept
from ritz.compute.solvers.operators import Operators, Pattern
from ritz.compute.solvers.sequential import Sequential
from ritz.compute.solvers.solver import Attempt, Solver
from ritz.compute.solvers.systems import Systems

log = logging.getLogger(__name__)


class Direct(Sequential):
    """Sparse factorisation of every system.

    The elimination order depends on the sparsity pattern only: it is found once for a pattern and reused for all
    systems. Equal matrices are factored once: where the operators are constant, and where the same operators
    come again with other right-hand sides, as in time stepping. Pivots are first taken from the diagonal;
    where that does not reach the tolerance, not even with iterative refinement, the matrix is factored again
    by SuperLU with partial pivoting. ``iterations`` in the ledger counts refinement steps.
    """

    kind: Literal["direct"] = "direct"
    library: Literal["auto", "superlu", "pardiso", "cholmod"] = "auto"
    """What factors: SuperLU of SciPy, PARDISO (extra ``pardiso``), CHOLMOD (extra ``cholmod``, for symmetric
    positive definite systems), or of those that are installed and fit the fastest on large systems."""

    def unfit(self, systems: Systems) -> str:
        """Return what keeps it from solving such systems; see `Solver.unfit`."""
        return "" if self.library == "auto" else lacks(self.library, systems.operators)

    @property
    def elimination(self) -> Elimination:
        """What it does to a system."""
        return Elimination(self.library)

    def settled(self, systems: Systems) -> Direct:
        """Return the solver with its library; see `Solver.settled`."""
        return self.model_copy(update={"library": self.elimination.chosen(systems.operators)})

    @classmethod
    def candidates_of(cls) -> tuple[Solver, ...]:
        """Return one with each library that is installed; see `Solver.candidates_of`."""
        return tuple(cls(library=library) for library in analysis.importable())

    def expected(self, systems: Systems) -> float:
        """Estimate the seconds per system; see `Solver.expected`."""
        operators = systems.operators
        return again(self.library, operators) if operators.constant else once(self.library, operators)

    def fallback(self) -> Fallback | None:
        """Return nothing: what it cannot do, no other does; see `Sequential.fallback`."""
        return None

    def attempt(
        self, systems: Systems, i: int, *, rtol: float, carry: Kept[Solve] | None
    ) -> tuple[Attempt, Kept[Solve]]:
        """Answer one system; see `Sequential.attempt`. The carry is what was factored."""
        return self.elimination.attempt(systems, i, rtol=rtol, carry=carry)

    def together(self, systems: Systems) -> np.ndarray | None:
        """Answer all systems at once if they share a matrix; see `Sequential.together`."""
        operators = systems.operators
        if not operators.constant or len(systems) < 2:
            return None
        library = self.elimination.chosen(operators)
        try:
            solve = _shared(library, operators)
        except ZeroDivisionError as error:
            log.info("the matrix of all systems: %s", error)
            return None
        rhs = systems.rhs.reshape(len(systems), -1)
        # Measured: CHOLMOD and PARDISO take less for a block than for its columns, SuperLU more.
        x = np.stack([solve(row) for row in rhs]) if library == "superlu" else solve(rhs.T).T
        return x.reshape(systems.rhs.shape)


_local = threading.local()


def _shared(library: Library, operators: Operators) -> Solve:
    """Return the factored matrix of constant operators; the last one of each library is kept."""
    entries = operators.entries(0)
    kept: dict[str, tuple[Pattern, np.ndarray, Solve]] = _local.__dict__
    if library in kept:
        pattern, values, solve = kept[library]
        if pattern == operators.pattern and np.array_equal(values, entries):
            return solve
    solve = analyze(library, operators).factor(entries)
    kept[library] = operators.pattern, entries.copy(), solve
    return solve
