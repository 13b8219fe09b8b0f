"""Predictions whose error is within a tolerance by the equations: kept, corrected, or solved."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ritz.compute.problems.iterated import Iterated
from ritz.compute.simulation.quickest import quickest
from ritz.compute.simulation.simulate import simulate
from ritz.compute.uncertainty.spread.defect import LARGEST_LEFT, difference, sizes, step

if TYPE_CHECKING:
    from ritz.compute.problems.problem import Arrays, Problem
    from ritz.compute.solvers.solver import Solver

ACTIONS = ("predicted", "corrected", "solved", "failed")
"""What a field is: the prediction, a correction of it, the solution to a tolerance, or nothing for want of one."""

PREDICTED, CORRECTED, SOLVED, FAILED = range(len(ACTIONS))

STEP_RTOL = 0.01
"""Relative residual to which the systems for the change are solved in a step."""

LEAST_LEFT = 2 * STEP_RTOL
"""Share of a step that is reckoned to be left at least: its systems are solved no better than to `STEP_RTOL`, and it
leaves up to as much of the error. Measured over the families of problems: at most 0.6 of what is reckoned is left."""

FAR = 2.5
"""What an iteration such as Newton's method may leave over what a contraction would, where it begins far away. Measured
on `variational` from predictions that are wrong by up to 70 %: at most twice."""

SOLVE_RTOL = 1e-8
"""Relative residual of what is called solved."""

_FEW = 4
"""Samples on which a step and a solve are timed."""

_BLOCK = 64
"""Samples that are corrected or solved at once."""

_LEAST = 2.0**-52
"""No error is estimated to be below the rounding of the fields."""


@dataclass(frozen=True)
class Verified:
    """Fields with what was done to come to them.

    Attributes
    ----------
    fields
        ``(n, *dims)`` float64 by output; NaN where all failed.
    actions
        ``(n,)`` int8, positions in `ACTIONS`.
    estimate
        ``(n,)`` estimated error of the field, relative L2; NaN where it was solved or failed.
    seconds
        For all of it, without the timing.
    step, solve
        Seconds per sample of a step and of a full solve, measured on a few samples.
    all_solved
        Whether a solve was no dearer than the steps, so that all samples were solved and no error was estimated.
    """

    fields: Arrays
    actions: np.ndarray
    estimate: np.ndarray
    seconds: float
    step: float
    solve: float
    all_solved: bool

    def count(self, action: int) -> int:
        """Return to how many samples something was done."""
        return int((self.actions == action).sum())


def verify(
    problem: Problem,
    inputs: Mapping[str, np.ndarray],
    prediction: Mapping[str, np.ndarray],
    tolerance: float,
    doubtful: np.ndarray | None = None,
) -> Verified:
    """Bring predictions within a tolerance of the solutions of the discrete equations.

    A step of the problem's own iteration, begun at the prediction, estimates its error. Where that is above the
    tolerance a second step, begun at the corrected field, corrects it further. With θ the size of the second step over
    that of the first, or 2 % where it is less, θ/(1 − θ) of the second is reckoned to be left, as of any contraction by
    θ, and 2.5 times that of a nonlinear problem. Where that is above the tolerance too, or θ is above 30 %, so that the
    steps cannot be relied on, the sample is solved. If a solve of a few samples takes no longer than the steps that
    they need, one or two each, all are solved.

    The tolerance is on the estimated error of the field, not on a residual: residuals of good predictions are as large
    as those of bad ones. A corrected field is no solution: nothing was measured of it but this estimate.

    Parameters
    ----------
    problem
        What the fields solve.
    inputs, prediction
        ``(n, *dims)`` for every input and output, on the grid of the problem; n ≥ 1.
    tolerance
        Largest relative L2 error of all outputs together that is left as it is.
    doubtful
        ``(n,)`` bool, samples for which the steps are known not to be relied on: they are solved.

    Raises
    ------
    ValueError
        If the problem has no such step.
    """
    problem.refuse_uncorrectable()
    count = len(next(iter(prediction.values())))
    doubts = np.zeros(count, dtype=bool) if doubtful is None else doubtful
    few = _rows(inputs, slice(_FEW)), _rows(prediction, slice(_FEW))
    solver, sampled = quickest(problem, few[0], SOLVE_RTOL), min(count, _FEW)
    # The first step and the first solve may compile kernels, so they are not timed.
    first, _ = step(problem, *few, STEP_RTOL)
    simulate(problem, few[0], solver, SOLVE_RTOL)
    above = ~(sizes(difference(first, few[1])) <= tolerance * sizes(first))
    step_seconds = _seconds(lambda: step(problem, *few, STEP_RTOL)) / sampled
    solve_seconds = _seconds(lambda: simulate(problem, few[0], solver, SOLVE_RTOL)) / sampled
    by_steps = solve_seconds > step_seconds * (1 + above.mean())
    began, parts = time.perf_counter(), []
    for start in range(0, count, _BLOCK):
        rows = slice(start, start + _BLOCK)
        given, predicted = _rows(inputs, rows), _rows(prediction, rows)
        parts.append(_block(problem, solver, given, predicted, tolerance, doubts[rows], by_steps))
    seconds = time.perf_counter() - began
    fields = {name: np.concatenate([part[0][name] for part in parts]) for name in prediction}
    actions, estimate = (np.concatenate([part[k] for part in parts]) for k in (1, 2))
    return Verified(fields, actions, estimate, seconds, step_seconds, solve_seconds, not by_steps)


def _block(
    problem: Problem,
    solver: Solver,
    inputs: Arrays,
    prediction: Arrays,
    tolerance: float,
    doubtful: np.ndarray,
    by_steps: bool,
) -> tuple[Arrays, np.ndarray, np.ndarray]:
    """Return fields, actions and estimates of some samples."""
    count = len(doubtful)
    fields = {name: values.astype(np.float64) for name, values in prediction.items()}
    actions, estimate = np.full(count, SOLVED, np.int8), np.full(count, np.nan)
    if by_steps:
        first, _ = step(problem, inputs, prediction, STEP_RTOL)
        change = sizes(difference(first, prediction))
        error = change / sizes(first)
        good = (error <= tolerance) & ~doubtful
        actions[good], estimate[good] = PREDICTED, error[good]
        rows = np.flatnonzero(np.isfinite(error) & ~good & ~doubtful)
        if len(rows):
            before = _rows(first, rows)
            second, _ = step(problem, _rows(inputs, rows), before, STEP_RTOL)
            again, whole = sizes(difference(second, before)), sizes(second)
            share = again / change[rows]
            reckoned = np.maximum(share, LEAST_LEFT)
            left = again / whole * reckoned / (1 - np.minimum(reckoned, LARGEST_LEFT))
            left = np.maximum(FAR * left if isinstance(problem, Iterated) else left, _LEAST)
            fit = (share <= LARGEST_LEFT) & (left <= tolerance)
            chosen = rows[fit]
            actions[chosen], estimate[chosen] = CORRECTED, left[fit]
            for name, values in second.items():
                fields[name][chosen] = values[fit]
    rest = np.flatnonzero(actions == SOLVED)
    if len(rest):
        solved, ledger = simulate(problem, _rows(inputs, rest), solver, SOLVE_RTOL)
        for name, values in solved.items():
            fields[name][rest] = values
        actions[rest[np.array(ledger["status"]) != "ok"]] = FAILED
    return fields, actions, estimate


def _rows(fields: Mapping[str, np.ndarray], rows: slice | np.ndarray) -> Arrays:
    return {name: values[rows] for name, values in fields.items()}


def _seconds(work: Callable[[], object]) -> float:
    """Return how long something takes."""
    began = time.perf_counter()
    work()
    return time.perf_counter() - began
