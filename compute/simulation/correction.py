"""Given fields one step of their problem's iteration further, by a solver."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from ritz.compute.simulation.simulate import combine
from ritz.compute.solvers.solver import Ledger, Solver
from ritz.compute.solvers.systems import Systems

if TYPE_CHECKING:
    from ritz.compute.problems.problem import Arrays, Problem


def correct(
    problem: Problem,
    inputs: Mapping[str, np.ndarray],
    fields: Mapping[str, np.ndarray],
    solver: Solver,
    rtol: float,
) -> tuple[Arrays, Ledger]:
    """Correct the fields of some samples by one step of the problem's iteration.

    Parameters
    ----------
    problem, inputs, fields
        See `ritz.compute.problems.problem.Problem.corrected`.
    solver
        Answers the systems. Its state starts empty and lives as long as the call.
    rtol
        Largest true relative residual of a good answer to a system for the change.

    Returns
    -------
    fields
        Outputs in float64; all NaN for a sample of which a system had no good answer.
    ledger
        One row per sample; see `ritz.compute.simulation.simulate.simulate`.

    Raises
    ------
    ValueError
        If the problem has no such step, or poses other than one system per sample.
    """
    samples = len(next(iter(inputs.values())))
    ledgers: list[Ledger] = []
    carry: Any = None

    def solve(systems: Systems) -> np.ndarray:
        nonlocal carry
        if len(systems) != samples:
            raise ValueError(f"problem {problem.kind!r} posed {len(systems)} systems for {samples} samples to correct")
        solutions, carry = solver.solve(systems, rtol=rtol, carry=carry)
        ledgers.append(solutions.ledger)
        return solutions.x

    corrected = problem.corrected(inputs, fields, solve)
    ledger = combine(ledgers)
    for i, status in enumerate(ledger["status"]):
        if status == "ok" and not all(np.isfinite(field[i]).all() for field in corrected.values()):
            ledger["status"][i], ledger["reason"][i] = "failed", "not_finite"
        if ledger["status"][i] != "ok":
            for field in corrected.values():
                field[i] = np.nan
    return corrected, ledger
