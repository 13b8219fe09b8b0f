from __future__ import annotations

import logging
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from ritz.compute.solvers.certify import relative_residual
from ritz.compute.solvers.expectation import passes
from ritz.compute.solvers.factorization import analysis
from ritz.compute.solvers.factorization.analysis import Library, Solve, analyze, lacks
from ritz.compute.solvers.factorization.seconds import again, once
from ritz.compute.solvers.factorization.superlu import partial_pivoting
from ritz.compute.solvers.kept import Kept
from ritz.compute.solvers.operators import Operators
from ritz.compute.solvers.solver import Attempt
from ritz.compute.solvers.systems import Systems

log = logging.getLogger(__name__)

REFINEMENTS = 2
"""Steps of iterative refinement before the matrix is factored once more."""


@dataclass(frozen=True)
class Elimination:
    """Gaussian elimination of one sparse matrix after the other: what `Direct` does, and what stands behind the others.

    Pivots are first taken from the diagonal; where that does not reach the tolerance, not even with iterative
    refinement, the matrix is factored again by SuperLU with partial pivoting.

    Attributes
    ----------
    library
        What factors; ``"auto"``: of those that are installed and fit the fastest on large systems.
    """

    library: Literal["auto"] | Library = "auto"
    kind: str = "direct"

    def chosen(self, operators: Operators) -> Library:
        """Return the library that factors such operators."""
        if self.library == "auto":
            return next(library for library in analysis.importable() if not lacks(library, operators))
        return self.library

    def attempt(
        self, systems: Systems, i: int, *, rtol: float, carry: Kept[Solve] | None
    ) -> tuple[Attempt, Kept[Solve]]:
        """Answer one system; see `Sequential.attempt`. The carry is what was factored."""
        operators, rhs = systems.operators, systems.rhs[i].ravel()
        kept = (carry or Kept()).of(operators)
        solve = kept.made.get(i)
        attempt = Attempt(None, 0, 0, "breakdown")
        library = self.chosen(operators)
        work = self.work(library, operators, solve is not None)
        if solve is not None:
            attempt = _refined(solve, operators, i, rhs, rtol)
        else:
            try:
                solve = analyze(library, operators).factor(operators.entries(i))
                attempt = _refined(solve, operators, i, rhs, rtol)
                kept = kept.having(i, solve if library == "superlu" and kept.wants(i) else None)
            except ZeroDivisionError as error:
                log.info("system %d: %s", i, error)
        if attempt.reason:
            try:
                best = _refined(partial_pivoting(operators, i), operators, i, rhs, rtol)
            except ZeroDivisionError as error:
                log.info("system %d: %s", i, error)
                best = Attempt(None, 0, 0, "breakdown")
            steps, products = attempt.iterations + best.iterations, attempt.matvecs + best.matvecs
            attempt = Attempt(best.x, steps, products, best.reason, best.residual)
            work += self.work("superlu", operators)
        work += attempt.iterations * self.work(library, operators, factored=True)
        return replace(attempt, work=work), kept

    def work(self, library: Library, operators: Operators, factored: bool = False) -> float:
        """Return what an answer by a library takes, in passes, factorisation included unless it is there already.

        The libraries do not count what they do: the work is that of the expected seconds.
        """
        seconds = again(library, operators) if factored else once(library, operators)
        return passes(seconds, operators.pattern.size)


def _refined(solve: Solve, operators: Operators, i: int, rhs: np.ndarray, rtol: float) -> Attempt:
    """Solve, and refine until the residual is small enough or two steps are done."""
    x = solve(rhs)
    steps = 0
    while not (residual := relative_residual(operators, i, x, rhs)) <= rtol and steps < REFINEMENTS:
        x = x + solve(rhs - operators.matvec(i, x))
        steps += 1
    reason = "" if residual <= rtol else "not_converged" if np.isfinite(residual) else "breakdown"
    return Attempt(x if np.isfinite(residual) else None, steps, 2 * steps + 1, reason, residual)
