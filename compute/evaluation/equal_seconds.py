"""The most accurate solve that takes no longer than a prediction: the coarse solver beside a surrogate in time."""

from __future__ import annotations

import math
import time
from collections import defaultdict
from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from ritz.compute.evaluation.matched import RTOLS, SPACE, TIMES, tried_on
from ritz.compute.evaluation.matched_record import EqualSeconds, LeftOutGrids, Trial
from ritz.compute.evaluation.metric import Subject
from ritz.compute.evaluation.rollouts import by_step
from ritz.compute.evaluation.rollouts.valid_time import LYAPUNOV_TIMES, ValidTime
from ritz.compute.fields.dimensions import Dimensions
from ritz.compute.simulation.coarsening import Grids
from ritz.compute.simulation.quickest import quickest
from ritz.compute.simulation.simulate import ITSELF, simulate

if TYPE_CHECKING:
    from ritz.compute.problems.problem import Problem


def most_accurate(
    problem: Problem,
    inputs: Mapping[str, np.ndarray],
    reference: Mapping[str, np.ndarray],
    seconds: float,
    *,
    rtol: float,
    limit: float = 20.0,
) -> EqualSeconds:
    """Find the solve of least mean relative L2 error that takes at most ``seconds`` per sample, and its curves.

    Every grid that the problem can have is tried, from the coarsest on (the factors of
    `ritz.compute.evaluation.matched`), at ever tighter tolerances until a solve takes longer. A grid that is finer than
    one whose loosest solve succeeds and takes longer is left out. A measurement is as in
    `ritz.compute.evaluation.matched.fastest`.

    Parameters
    ----------
    problem
        In time; whose solutions the reference holds.
    inputs, reference
        ``(n, *dims)`` of some samples; the reference was solved to ``rtol`` on the problem's own grid.
    seconds
        What a solve may take, per sample.
    limit
        Seconds after which no further trial is begun.
    """
    start = time.perf_counter()
    tried: list[Trial] = []
    left_out: dict[str, list[tuple[int, int]]] = defaultdict(list)
    slow: set[tuple[int, int]] = set()
    complete = True
    tolerances = (*(one for one in sorted(RTOLS, reverse=True) if one > rtol), rtol)
    for space, steps in sorted(((s, t) for s in SPACE for t in TIMES), key=lambda one: -one[0] * one[1]):
        if any(one in slow for one in ((2 * space, steps), (space, 2 * steps))):
            slow.add((space, steps))
            left_out["a solve on a coarser grid takes longer"].append((space, steps))
            continue
        grids = Grids.between(problem, space, steps)
        if isinstance(grids, str):
            left_out[grids].append((space, steps))
            continue
        for tolerance in tolerances:
            if time.perf_counter() - start > limit and tried:
                complete = False
                break
            trial = tried_on(grids, (space, steps), inputs, reference, tolerance, math.inf)
            tried.append(trial)
            if trial.seconds > seconds:
                if tolerance == tolerances[0] and trial.error is not None:
                    slow.add((space, steps))
                break
            if trial.solver["kind"] == ITSELF:
                # Explicit steps are the same at any tolerance.
                break
    solved = [trial for trial in tried if trial.error is not None]
    best = min(
        (trial for trial in solved if trial.seconds <= seconds), key=lambda trial: trial.error or 0.0, default=None
    )
    found = EqualSeconds(
        seconds=seconds,
        samples=len(next(iter(reference.values()))),
        tried=tuple(tried),
        left_out=tuple(LeftOutGrids(reason=reason, grids=tuple(grids)) for reason, grids in left_out.items()),
        complete=complete,
        best=best,
        quickest=min(solved, key=lambda trial: trial.seconds, default=None),
    )
    return found if best is None else _with_curves(found, best, problem, inputs, reference)


def _with_curves(
    found: EqualSeconds,
    best: Trial,
    problem: Problem,
    inputs: Mapping[str, np.ndarray],
    reference: Mapping[str, np.ndarray],
) -> EqualSeconds:
    """Return what was found with the errors of its best solve at each time, which is solved again."""
    grids = Grids.between(problem, best.space, best.time)
    assert isinstance(grids, Grids)
    restricted, coarse = grids.restrict(inputs), grids.coarse.loosened(best.rtol)
    outputs, _ = simulate(coarse, restricted, quickest(coarse, restricted, best.rtol), best.rtol)
    subject = Subject(inputs, grids.prolong(outputs), reference, Dimensions.of(problem.template(1)), problem)
    if by_step.unfit(subject.dimensions) or by_step.unfit_for_scale(subject):
        return found
    valid = ValidTime().of(subject)
    return found.changed(
        times=subject.dimensions.times,
        nrmse=tuple(by_step.nrmse(subject).mean(axis=0).tolist()),
        correlation=tuple(by_step.correlation(subject).mean(axis=0).tolist()),
        valid_time=float(valid[""].mean()),
        lyapunov_times=float(valid[LYAPUNOV_TIMES].mean()) if LYAPUNOV_TIMES in valid else None,
    )
