from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from compute.solvers.solver import COLUMNS, Ledger, Solver
from compute.solvers.systems import Systems

if TYPE_CHECKING:
    from compute.problems.problem import Arrays, Problem


def simulate(problem: Problem, inputs: Mapping[str, np.ndarray], solver: Solver, rtol: float) -> tuple[Arrays, Ledger]:
    """Solve the samples of one shard in their order, carrying the solver's state from system to system.

    Parameters
    ----------
    problem
        Poses the systems.
    inputs
        Fields of the samples, as drawn.
    solver
        Answers the systems. Its state starts empty and lives as long as the call.
    rtol
        Largest true relative residual of a good answer.

    Returns
    -------
    fields
        Outputs in float64; all NaN for a sample that failed.
    ledger
        One row a sample. Over several batches of systems (time steps, Newton steps) iterations, applications
        and seconds are sums, the residual is the largest, one failure fails the sample, and ``solver`` is
        ``"direct"`` when the direct solver had to help.

    Raises
    ------
    ValueError
        If a batch of systems does not hold one system a sample.
    """
    samples = len(next(iter(inputs.values())))
    carry: Any = None
    ledgers: list[Ledger] = []

    def solve(systems: Systems) -> np.ndarray:
        nonlocal carry
        if len(systems) != samples:
            raise ValueError(
                f"{problem.kind} posed {len(systems)} systems for {samples} samples, expected one a sample"
            )
        solutions, carry = solver.solve(systems, rtol=rtol, carry=carry)
        ledgers.append(solutions.ledger)
        return solutions.x

    fields = problem.simulate(inputs, solve)
    if not ledgers:
        raise ValueError(f"{problem.kind} posed no systems: simulate must call solve at least once")
    ledger = combine(ledgers)
    for i in range(samples):
        if ledger["status"][i] == "ok" and not all(np.isfinite(field[i]).all() for field in fields.values()):
            ledger["status"][i], ledger["reason"][i] = "failed", "not_finite"
        if ledger["status"][i] != "ok":
            for field in fields.values():
                field[i] = np.nan
    return fields, ledger


def combine(ledgers: list[Ledger]) -> Ledger:
    """Add up the ledgers of several batches of systems of the same samples, in the order they were solved."""
    total: Ledger = {name: list(ledgers[0][name]) for name in COLUMNS}
    for ledger in ledgers[1:]:
        for i, status in enumerate(ledger["status"]):
            if total["status"][i] == "ok":
                total["status"][i], total["reason"][i] = status, ledger["reason"][i]
            total["residual"][i] = float(np.maximum(total["residual"][i], ledger["residual"][i]))
            for name in ("iterations", "matvecs", "seconds"):
                total[name][i] += ledger[name][i]
            if total["solver"][i] != "direct":
                total["solver"][i] = ledger["solver"][i]
    return total
