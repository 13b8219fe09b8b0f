"""Rollouts of a surrogate of which every step is within a tolerance by the equations: kept, corrected, or solved."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ritz.compute.problems.evolution import State
from ritz.compute.simulation.quickest import quickest
from ritz.compute.solvers.estimate import Estimate
from ritz.compute.uncertainty.spread.defect import LARGEST_LEFT, difference, sizes
from ritz.compute.uncertainty.verification.fields import (
    CORRECTED,
    FAILED,
    LEAST_LEFT,
    PREDICTED,
    SOLVE_RTOL,
    SOLVED,
    STEP_RTOL,
)

if TYPE_CHECKING:
    from ritz.compute.problems.evolution import Evolution
    from ritz.compute.problems.problem import Arrays, Solve
    from ritz.compute.solvers.solver import Solver
    from ritz.compute.surrogates.model import Model

_LEAST = 2.0**-52
"""No error is estimated to be below the rounding of the fields."""


@dataclass(frozen=True)
class VerifiedRollout:
    """States with what was done at every step to come to them.

    Attributes
    ----------
    fields
        ``(n, steps, *space)`` float64 by output; NaN from a step on for which there was no good answer.
    actions
        ``(n, steps)`` int8, positions in `ritz.compute.uncertainty.verification.fields.ACTIONS`.
    estimate
        ``(n, steps)`` estimated relative L2 error that the surrogate's step makes, from the state before it as it was
        taken; NaN where that failed.
    left
        ``(n, steps)`` what is reckoned to be left of it in the state that was taken; 0 where it was solved.
    seconds
        For all of it.
    """

    fields: Arrays
    actions: np.ndarray
    estimate: np.ndarray
    left: np.ndarray
    seconds: float

    def share(self, action: int) -> float:
        """Return in which share of all steps something was done."""
        return float((self.actions == action).mean())


def roll_out(
    problem: Evolution, model: Model, inputs: Mapping[str, np.ndarray], tolerance: float, solver: Solver | None = None
) -> VerifiedRollout:
    """Step through the times of a problem by a surrogate, and by its solver where the surrogate loses its way.

    From the state that was taken before, the surrogate says what the next one is, and a step of Newton's method for the
    equations of this one time step, begun there, estimates the error that it makes. Up to the tolerance the surrogate's
    state is taken. Above it a second step corrects the first one further; with θ the size of the second over that of
    the first, or 2 % where it is less, θ/(1 − θ) of the second is reckoned to be left. Where that is above the
    tolerance too, or θ above 30 %, the time step is solved.

    The tolerance is on the error of each step from the state before it, not on that of the rollout, in which errors of
    steps add up, and grow or fall as the problem has it.

    Parameters
    ----------
    problem
        On its own grid; its equations of a step have to have derivatives.
    model
        Of a surrogate that steps through time.
    inputs
        ``(n, *dims)`` for every input, n ≥ 1.
    tolerance
        Largest relative L2 error of all outputs together that a step may make.
    solver
        What solves a time step; by default the quickest for the first systems.

    Raises
    ------
    ValueError
        If the problem has no step of Newton's method, or the surrogate does not step by its intervals.
    """
    problem.refuse_uncorrectable()
    solver = solver or quickest(problem, {name: values[:4] for name, values in inputs.items()}, SOLVE_RTOL)
    began = time.perf_counter()
    now = problem.start(inputs).fields
    count, lengths = len(next(iter(inputs.values()))), np.diff(problem.times, prepend=0.0)
    shape = (count, len(lengths))
    fields = {name: np.empty((*shape, *values.shape[1:])) for name, values in now.items()}
    actions, estimate, left = np.full(shape, FAILED, np.int8), np.full(shape, np.nan), np.full(shape, np.nan)
    alive = np.arange(count)
    for step, length in enumerate(lengths):
        given = {name: values[alive] for name, values in inputs.items()}
        guess = model.advance(given, {name: values.astype(np.float32) for name, values in now.items()}, float(length))
        taken = _Taken.of(problem, given, now, guess, step, tolerance, solver)
        actions[alive, step], estimate[alive, step], left[alive, step] = taken.actions, taken.estimate, taken.left
        good = taken.actions != FAILED
        for name, values in taken.after.items():
            fields[name][:, step] = np.nan
            fields[name][alive[good], step] = values[good]
        alive, now = alive[good], {name: values[good] for name, values in taken.after.items()}
        if not len(alive):
            for values in fields.values():
                values[:, step + 1 :] = np.nan
            break
    return VerifiedRollout(fields, actions, estimate, left, time.perf_counter() - began)


@dataclass(frozen=True)
class _Taken:
    """What was taken of one step: ``(n, *space)`` by output, and ``(n,)`` of each sample."""

    after: Arrays
    actions: np.ndarray
    estimate: np.ndarray
    left: np.ndarray

    @classmethod
    def of(
        cls,
        problem: Evolution,
        inputs: Arrays,
        before: Arrays,
        guess: Arrays,
        step: int,
        tolerance: float,
        solver: Solver,
    ) -> _Taken:
        """Estimate the error of a guess, and correct or solve where it is above the tolerance."""
        cheap = _answering(Estimate(rtol=STEP_RTOL), STEP_RTOL)
        after = {name: values.astype(np.float64) for name, values in guess.items()}
        first = problem.step_corrected(inputs, before, after, step, cheap)
        change = sizes(difference(first, after))
        estimate = change / np.maximum(sizes(first), _LEAST)
        left = estimate.copy()
        actions = np.full(len(left), SOLVED, np.int8)
        good = estimate <= tolerance
        actions[good] = PREDICTED
        rows = np.flatnonzero(np.isfinite(estimate) & ~good)
        if len(rows):
            given, then, begun = (_rows(one, rows) for one in (inputs, before, first))
            second = problem.step_corrected(given, then, begun, step, cheap)
            again = sizes(difference(second, begun))
            share = np.maximum(again / change[rows], LEAST_LEFT)
            rest = again / sizes(second) * share / (1 - np.minimum(share, LARGEST_LEFT))
            fit = (share <= LARGEST_LEFT) & (rest <= tolerance)
            chosen = rows[fit]
            actions[chosen], left[chosen] = CORRECTED, np.maximum(rest[fit], _LEAST)
            for name, values in second.items():
                after[name][chosen] = values[fit]
        rows = np.flatnonzero(actions == SOLVED)
        if len(rows):
            given, then = _rows(inputs, rows), _rows(before, rows)
            solved = problem.step(State(step, then), given, _answering(solver, SOLVE_RTOL)).fields
            left[rows] = 0.0
            for name, values in solved.items():
                after[name][rows] = values
            lost = ~np.logical_and.reduce([np.isfinite(one.reshape(len(rows), -1)).all(1) for one in solved.values()])
            actions[rows[lost]], left[rows[lost]] = FAILED, np.nan
        return cls(after, actions, estimate, left)


def _answering(solver: Solver, rtol: float) -> Solve:
    """Return what answers systems by a solver; NaN where one is missed."""

    def solve(systems):  # type: ignore[no-untyped-def]  # a `Solve`
        solutions, _ = solver.solve(systems, rtol=rtol)
        missed = np.array(solutions.ledger["status"]) != "ok"
        return np.where(missed.reshape(-1, *(1,) * (solutions.x.ndim - 1)), np.nan, solutions.x)

    return solve


def _rows(fields: Mapping[str, np.ndarray], rows: np.ndarray) -> Arrays:
    return {name: values[rows] for name, values in fields.items()}
