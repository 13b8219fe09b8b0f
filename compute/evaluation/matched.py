"""The fastest solve that is as accurate as a surrogate: what the surrogate has to be measured against.

A surrogate that is compared with a solver at a far smaller error is compared with a weak baseline; so were 60 of 76
papers that report a surrogate to be faster (McGreivy and Hakim, "Weak baselines and reporting biases lead to
overoptimism in machine learning for fluid-related partial differential equations", Nat. Mach. Intell. 6, 2024).
"""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from ritz.compute.evaluation.cost import spread
from ritz.compute.evaluation.matched_record import LeftOutGrids, Matched, Trial
from ritz.compute.fields.errors import relative_l2
from ritz.compute.simulation.coarsening import Grids
from ritz.compute.simulation.quickest import quickest
from ritz.compute.simulation.simulate import ITSELF, simulate

if TYPE_CHECKING:
    from ritz.compute.problems.problem import Arrays, Problem

SPACE = (1, 2, 4, 8)
"""Times fewer points along an axis."""

TIMES = (1, 2, 4)
"""Times fewer steps."""

RTOLS = (1e-6, 1e-4, 1e-3, 1e-2, 1e-1)
"""Tolerances, besides that of the reference, from tight to loose."""

REPEATS = 3
"""Of a measurement, of which the quickest counts."""


def fastest(
    problem: Problem,
    inputs: Mapping[str, np.ndarray],
    reference: Mapping[str, np.ndarray],
    error: float,
    *,
    rtol: float,
    limit: float = 20.0,
) -> Matched:
    """Find the fastest solve whose mean relative L2 error is at most ``error``.

    Every grid that the problem can have is tried (`SPACE` times fewer points per axis, `TIMES` times fewer steps), from
    the finest on, at ever looser tolerances (`RTOLS`; Newton's own tolerance is loosened along) until the error is too
    large. On each the solver is the one that `Auto` finds quickest for the systems at that tolerance. A measurement is
    the wall time of all samples, one after the other with what is carried from one to the next, from the inputs on the
    fine grid to the outputs on it: restricting, assembling, solving, interpolating.

    Parameters
    ----------
    problem
        Whose solutions the reference holds.
    inputs, reference
        ``(n, *dims)`` of some samples; the reference was solved to ``rtol`` on the problem's own grid.
    error
        What is to be matched, averaged over the outputs.
    limit
        Seconds after which no further trial is begun.
    """
    start = time.perf_counter()
    tried: list[Trial] = []
    left_out: dict[str, list[tuple[int, int]]] = defaultdict(list)
    poor: set[tuple[int, int]] = set()
    complete = True
    for space, steps in sorted(((s, t) for s in SPACE for t in TIMES), key=lambda one: one[0] * one[1]):
        if any((s, t) in poor for s, t in ((space // 2, steps), (space, steps // 2))):
            poor.add((space, steps))
            left_out["a finer grid is not accurate enough"].append((space, steps))
            continue
        grids = Grids.between(problem, space, steps)
        if isinstance(grids, str):
            left_out[grids].append((space, steps))
            continue
        for tolerance in (rtol, *(one for one in RTOLS if one > rtol)):
            if time.perf_counter() - start > limit and tried:
                complete = False
                break
            trial = tried_on(grids, (space, steps), inputs, reference, tolerance, error)
            tried.append(trial)
            if not trial.accurate:
                if tolerance == rtol:
                    poor.add((space, steps))
                break
            if trial.solver["kind"] == ITSELF:
                # Explicit steps are the same at any tolerance.
                break
    good = [trial for trial in tried if trial.accurate]
    return Matched(
        error=error,
        samples=len(next(iter(reference.values()))),
        tried=tuple(tried),
        left_out=tuple(LeftOutGrids(reason=reason, grids=tuple(grids)) for reason, grids in left_out.items()),
        complete=complete,
        fastest=min(good, key=lambda trial: trial.seconds) if good else None,
    )


def tried_on(
    grids: Grids,
    times_fewer: tuple[int, int],
    inputs: Mapping[str, np.ndarray],
    reference: Mapping[str, np.ndarray],
    rtol: float,
    wanted: float,
) -> Trial:
    """Solve at a tolerance on a grid and measure it; the error is None where a sample failed.

    Parameters
    ----------
    times_fewer
        The factors that the grids are of, in space and time.
    wanted
        The largest mean relative L2 error that counts as accurate.
    """
    coarse = grids.coarse.loosened(rtol)
    solver = quickest(coarse, grids.restrict(inputs), rtol)
    seconds = []
    for _ in range(REPEATS):
        began = time.perf_counter()
        found, ledger = simulate(coarse, grids.restrict(inputs), solver, rtol)
        outputs = grids.prolong(found)
        seconds.append(time.perf_counter() - began)
    n = len(ledger["status"])
    failed = any(status != "ok" for status in ledger["status"])
    error = None if failed else _error(outputs, reference)
    return Trial(
        space=times_fewer[0],
        time=times_fewer[1],
        rtol=rtol,
        solver={"kind": ITSELF} if set(ledger["solver"]) == {ITSELF} else solver.model_dump(mode="json"),
        error=error,
        seconds=min(seconds) / n,
        spread=spread(seconds),
        accurate=error is not None and error <= wanted,
    )


def _error(outputs: Arrays, reference: Mapping[str, np.ndarray]) -> float:
    return float(np.mean([relative_l2(outputs[name], truth).mean() for name, truth in reference.items()]))
