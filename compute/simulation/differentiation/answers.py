"""Answers to the linear systems of a derivative, with what they cost and how near to singular the systems are."""

from __future__ import annotations

from typing import Any

import numpy as np

from ritz.compute.simulation.simulate import combine
from ritz.compute.solvers.scaling import norms
from ritz.compute.solvers.solver import Ledger, Solver
from ritz.compute.solvers.systems import Systems


class Answers:
    """Solves batch after batch of systems, one per sample each; a `ritz.compute.problems.problem.Solve`.

    Attributes
    ----------
    carry
        State of the solver.
    ledger
        One row per sample, over all batches; None before the first. See `ritz.compute.simulation.simulate.simulate`.
    condition
        ``(n,)`` what the condition number of the sample's systems, with columns scaled to a unit diagonal, is at least,
        by the answers: ``‖D x‖ / ‖b‖`` with the diagonal D; the largest of all batches.
    """

    def __init__(self, solver: Solver, rtol: float, carry: Any, samples: int, what: str) -> None:
        self.solver, self.rtol, self.what = solver, rtol, what
        self.carry = carry
        self.ledger: Ledger | None = None
        self.condition = np.zeros(samples)

    def __call__(self, systems: Systems) -> np.ndarray:
        """Answer systems; NaN where there is no good answer.

        Raises
        ------
        ValueError
            If the solver cannot work on such systems.
        """
        if reason := self.solver.unfit(systems):
            raise ValueError(
                f"solver {self.solver.kind!r} does not work on the {self.what}: {reason}; expected one that does for "
                "`adjoint`, such as Direct()"
            )
        solutions, self.carry = self.solver.solve(systems, rtol=self.rtol, carry=self.carry)
        self.ledger = solutions.ledger if self.ledger is None else combine([self.ledger, solutions.ledger])
        b, count = norms(systems.rhs), len(systems)
        y = np.array([np.linalg.norm(systems.operators.diagonal(i) * solutions.x[i]) for i in range(count)])
        self.condition = np.fmax(self.condition, np.divide(y, b, out=np.zeros(count), where=b > 0))
        return solutions.x
