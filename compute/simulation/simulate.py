from __future__ import annotations

import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from ritz.compute.simulation.posing import simulated
from ritz.compute.solvers.solver import COLUMNS, Ledger, Solver
from ritz.compute.solvers.systems import Systems

if TYPE_CHECKING:
    from ritz.compute.problems.problem import Arrays, Problem

ITSELF = "simulate"
"""What the ledger names as the solver of a sample for which a problem posed no systems."""


def simulate(problem: Problem, inputs: Mapping[str, np.ndarray], solver: Solver, rtol: float) -> tuple[Arrays, Ledger]:
    """Solve the samples of one shard in their order, carrying the solver's state from system to system.

    Parameters
    ----------
    problem
        Poses the systems. Where a batch does not hold a system for each sample, the samples are simulated one by one,
        and all systems that are posed then are those of the one sample. For a sample without any, as of an explicit
        scheme, ``problem.residual`` tells whether its fields are good.
    inputs
        Fields of the samples, as drawn.
    solver
        Answers the systems. Its state starts empty and lives as long as the call.
    rtol
        Largest true relative residual of a good answer; also the largest ``problem.residual`` of a sample without
        systems.

    Returns
    -------
    fields
        Outputs in float64; all NaN for a sample that failed.
    ledger
        One row per sample. Over several batches of systems (time steps, Newton steps) iterations, applications
        and seconds are sums, the residual is the largest, one failure fails the sample, and ``solver`` is
        ``"direct"`` when the direct solver had to help. Without systems ``solver`` is `ITSELF`, iterations and matvecs
        are 0, and the seconds are those of ``problem.simulate``.

    Raises
    ------
    ValueError
        If the problem posed no systems and has no residual, or does not return a field per sample.
    """
    return simulate_along(problem, inputs, solver, rtol, None)[:2]


def simulate_along(
    problem: Problem, inputs: Mapping[str, np.ndarray], solver: Solver, rtol: float, carry: Any
) -> tuple[Arrays, Ledger, Any]:
    """Solve samples as `simulate` does, where a sequence of calls goes on with the state of the solver.

    Parameters
    ----------
    problem, inputs, solver, rtol
        As in `simulate`.
    carry
        What the call before handed back, None in the first.

    Returns
    -------
    fields, ledger
        As of `simulate`.
    carry
        See `ritz.compute.solvers.solver.Solver.solve`.

    Raises
    ------
    ValueError
        As `simulate` does.
    """
    samples = len(next(iter(inputs.values())))
    together = _simulated(problem, inputs, solver, rtol, carry)
    if together is not None:
        fields, ledger, carry = together
    else:
        parts: list[tuple[Arrays, Ledger]] = []
        for i in range(samples):
            one = {name: values[i : i + 1] for name, values in inputs.items()}
            alone = _simulated(problem, one, solver, rtol, carry)
            assert alone is not None
            carry = alone[2]
            parts.append(alone[:2])
        fields = {name: np.concatenate([part[name] for part, _ in parts]) for name in parts[0][0]}
        ledger = {name: [row for _, part in parts for row in part[name]] for name in COLUMNS}
    for i in range(samples):
        if ledger["status"][i] == "ok" and not all(np.isfinite(field[i]).all() for field in fields.values()):
            ledger["status"][i], ledger["reason"][i] = "failed", "not_finite"
        if ledger["status"][i] != "ok":
            for field in fields.values():
                field[i] = np.nan
    return fields, ledger, carry


def _simulated(
    problem: Problem, inputs: Mapping[str, np.ndarray], solver: Solver, rtol: float, carry: Any
) -> tuple[Arrays, Ledger, Any] | None:
    """Simulate samples together, or one sample; None if a batch does not hold a system for each of several samples."""
    samples = len(next(iter(inputs.values())))
    ledgers: list[Ledger] = []

    def answer(systems: Systems) -> np.ndarray | None:
        nonlocal carry
        if samples > 1 and len(systems) != samples:
            return None
        solutions, carry = solver.solve(systems, rtol=rtol, carry=carry)
        ledger = solutions.ledger
        if samples == 1:
            rows = [{name: [ledger[name][i]] for name in COLUMNS} for i in range(len(systems))]
            ledgers.extend(rows)
        else:
            ledgers.append(ledger)
        return solutions.x

    start = time.perf_counter()
    fields = simulated(problem, inputs, answer)
    if isinstance(fields, Systems):
        return None
    for name, values in fields.items():
        if len(values) != samples:
            raise ValueError(
                f"problem {problem.kind!r} returned {len(values)} fields {name!r} for {samples} samples, expected one "
                "per sample"
            )
    if ledgers:
        return fields, combine(ledgers), carry
    seconds = (time.perf_counter() - start) / samples
    # Arrays of its own, which may be written to.
    fields = {name: np.array(values, np.float64) for name, values in fields.items()}
    return fields, _judged(problem, inputs, fields, rtol, seconds), carry


def _judged(problem: Problem, inputs: Mapping[str, np.ndarray], fields: Arrays, rtol: float, seconds: float) -> Ledger:
    """Return the ledger of samples that a problem solved by itself: their residuals say what is good."""
    try:
        with np.errstate(all="ignore"):
            residual = np.asarray(problem.residual(inputs, fields), np.float64)
    except NotImplementedError as error:
        raise ValueError(
            f"problem {problem.kind!r} posed no systems and has no residual, so nothing says whether its fields are "
            "good; expected `simulate` to call `solve`, or a method `equations`"
        ) from error
    finite = np.isfinite(residual)
    good = finite & (residual <= rtol)
    reasons = np.select([good, finite], ["", "not_converged"], "not_finite")
    n = len(residual)
    return {
        "status": ["ok" if one else "failed" for one in good],
        "reason": reasons.tolist(),
        "residual": residual.tolist(),
        "iterations": [0] * n,
        "matvecs": [0] * n,
        "seconds": [seconds] * n,
        "solver": [ITSELF] * n,
    }


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
