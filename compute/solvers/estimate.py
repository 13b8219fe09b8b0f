from __future__ import annotations

import logging
from collections import Counter
from typing import Any, ClassVar, Literal, NamedTuple

import numpy as np
from pydantic import Field

from ritz.compute.solvers.factorization.cyclic import Cyclic
from ritz.compute.solvers.factorization.direct import Direct
from ritz.compute.solvers.iterative.recycled import Recycled
from ritz.compute.solvers.multigrid.multigrid import Multigrid
from ritz.compute.solvers.operators import Operators, Stencil
from ritz.compute.solvers.sequential import Sequential
from ritz.compute.solvers.solver import Solutions, Solver, check_tolerance
from ritz.compute.solvers.systems import Systems
from ritz.compute.solvers.transform.flexible_gmres import FlexibleGMRES
from ritz.compute.solvers.transform.separable import Separable, even
from ritz.compute.solvers.transform.transform import Transform

log = logging.getLogger(__name__)

EXACT = 1e-8
"""Largest residual of an answer that counts as exact."""

BY_CHANGE = 1.0
"""Largest residual where the change of the answer decides: that of no answer at all."""


class Pick(NamedTuple):
    """What answers systems.

    Attributes
    ----------
    solver
        It does.
    rtol
        Largest true relative residual of a good answer of it.
    exact
        Whether its answers are exact but for rounding.
    """

    solver: Sequential
    rtol: float
    exact: bool


class Estimate(Solver):
    """Answers systems for the change of given fields as well as an estimate of their error needs.

    What answers follows from the structure of the systems, nothing is measured:

    - tridiagonal matrices, of a line or a ring: `Cyclic`, exact
    - stencils of constant coefficients: `Transform`, exact
    - definite stencils: `Multigrid` to ``rtol``
    - other stencils with constant couplings, as of waves of varying wave number: `FlexibleGMRES`, until the answer
      changes by at most a tenth twice in a row
    - other stencils, as of waves in a medium of varying density: `Recycled` to ``indefinite``
    - everything else: `Direct`, exact

    A system that is missed has failed: nothing else answers it. Where the change alone decides, a good answer may have
    any true residual up to 1, which the ledger holds; no residual of an indefinite system bounds the error.
    """

    by_itself: ClassVar[bool] = False

    kind: Literal["estimate"] = "estimate"
    rtol: float = Field(default=0.01, gt=0, lt=1)
    """Largest true relative residual for definite stencils."""
    indefinite: float = Field(default=1e-3, gt=0, lt=1)
    """Largest one for indefinite stencils that no transform preconditions."""

    def chosen(self, systems: Systems) -> Solver:
        """Return what answers such systems."""
        return self._pick(systems).solver

    def settled(self, systems: Systems) -> Solver:
        """Return what answers such systems; see `Solver.settled`."""
        return self.chosen(systems)

    def exact(self, systems: Systems) -> bool:
        """Whether the answers to such systems are exact but for rounding."""
        return self._pick(systems).exact

    def expected(self, systems: Systems) -> float | None:
        """Estimate the seconds per system to a residual of 1e-8; see `Solver.expected`."""
        return self.chosen(systems).expected(systems)

    def answering(self) -> tuple[str, ...]:
        """Return the kinds of all that may answer; see `Solver.answering`."""
        kinds = (Cyclic, Transform, Multigrid, FlexibleGMRES, Recycled, Direct)
        return tuple(str(kind.model_fields["kind"].default) for kind in kinds)

    def solve(self, systems: Systems, *, rtol: float, carry: Any = None) -> tuple[Solutions, Any]:
        """Solve with what the first systems of a sequence asked for; see `Solver.solve`.

        Parameters
        ----------
        systems
            What to solve.
        rtol
            Where it is smaller than what is asked of a residual, it is asked instead.
        carry
            What answered the systems before, and its own carry.

        Returns
        -------
        solutions, carry
        """
        check_tolerance(rtol)
        pick, inner = carry or (self._pick(systems), None)
        if pick.solver.unfit(systems):
            pick, inner = self._pick(systems), None
        solutions, inner = pick.solver.answered(
            systems,
            rtol=pick.rtol if pick.rtol == BY_CHANGE else min(pick.rtol, rtol),
            carry=inner,
            fallback=None,
            level=logging.DEBUG,
        )
        missed = Counter(reason for reason in solutions.ledger["reason"] if reason)
        if missed:
            told = ", ".join(f"{reason} ({count})" for reason, count in missed.items())
            log.warning(
                "%s has no good answer to %d of %d systems: %s", pick.solver.kind, missed.total(), len(systems), told
            )
        return solutions, (pick, inner)

    def _pick(self, systems: Systems) -> Pick:
        operators = systems.operators
        finite = np.isfinite(operators.magnitudes)
        if not finite.all():
            operators = operators.take(np.flatnonzero(finite))
        if not Cyclic().unfit(systems):
            return Pick(Cyclic(), EXACT, True)
        if not Transform().unfit(systems) and _uniform(operators):
            return Pick(Transform(), EXACT, True)
        if not Multigrid().unfit(systems):
            return Pick(Multigrid(), self.rtol, False)
        if isinstance(operators, Stencil) and not operators.definite:
            if not FlexibleGMRES().unfit(systems):
                return Pick(FlexibleGMRES(), BY_CHANGE, False)
            return Pick(Recycled(), self.indefinite, False)
        return Pick(Direct(), EXACT, True)


def _uniform(operators: Operators) -> bool:
    """Whether transforms solve each of some operators directly."""
    if not (isinstance(operators, Stencil) and even(operators.coefficients)):
        return False
    models = (Separable.of(c) for c in operators.coefficients[: 1 if operators.constant else None])
    return all(model.exact and model.regular for model in models)
