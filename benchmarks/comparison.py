"""Run many methods on one sequence of systems, in turn."""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from benchmarks.method import Answer, Method, Step

log = logging.getLogger(__name__)

LEAST = 3
"""Steps that even a slow method has to do."""

PORTION = 2
"""Right-hand sides of a step that an iterative peer is given: it gains nothing from having more at once."""


@dataclass
class Row:
    """What a method did on a sequence.

    Attributes
    ----------
    seconds
        Per right-hand side, by step; only of steps that reached the tolerance.
    setup
        Seconds of the set-up of the step outside of the clock, None where it cannot be told apart.
    residual
        Largest true relative residual of those.
    answered, missed
        Right-hand sides answered to the tolerance, and not.
    worst
        Largest true relative residual of a miss, 0 without one.
    notes
        What the method said of its answers, and how often.
    """

    method: Method
    seconds: dict[int, float] = field(default_factory=dict)
    setup: float | None = None
    counts: list[float] = field(default_factory=list)
    residual: float = 0.0
    answered: int = 0
    missed: int = 0
    worst: float = 0.0
    notes: dict[str, int] = field(default_factory=dict)

    @property
    def name(self) -> str:
        return self.method.name

    @property
    def group(self) -> str:
        return self.method.group

    @property
    def median(self) -> float:
        """Median seconds a right-hand side."""
        return float(np.median(list(self.seconds.values()))) if self.seconds else np.inf

    @property
    def iterations(self) -> float | None:
        """Mean iterations a right-hand side."""
        return float(np.mean(self.counts)) if self.counts else None

    def ratio(self, other: Row) -> float:
        """Return the median time over that of another method; NaN if either has none."""
        return self.median / other.median if self.seconds and other.seconds else np.nan

    def record(self, i: int, step: Step, answer: Answer, rtol: float) -> None:
        """Take down the answer to step ``i``; a miss leaves no time."""
        residuals = _portion(self.method, step).residuals(answer.x)
        count = len(residuals)
        missed = int(np.sum(~(residuals <= rtol)))
        self.missed += missed
        self.answered += count - missed
        if answer.note:
            self.notes[answer.note] = self.notes.get(answer.note, 0) + 1
        if missed:
            self.worst = max(self.worst, float(residuals.max()))
            return
        self.residual = max(self.residual, float(residuals.max()))
        self.seconds[i] = answer.seconds / count
        if answer.iterations is not None:
            self.counts.append(answer.iterations)


def compare(methods: Sequence[Method], first: Step, sequence: Sequence[Step], rtol: float, budget: float) -> list[Row]:
    """Run all methods on the same steps, one step of each in turn, in an order that is shuffled for every step.

    Parameters
    ----------
    methods
        What to compare.
    first
        A step that every method answers outside of the clock, so that libraries are loaded, kernels compiled and
        patterns analysed; where all steps have one matrix, also set up.
    sequence
        The steps that are measured.
    rtol
        Largest true relative residual of a good answer.
    budget
        Seconds for all. Methods that are too slow for it do fewer steps, spread over the sequence, or the first ones
        if they carry something along; a method that takes a quarter of it does ``first`` only.

    Returns
    -------
    list of Row
        In the order of the methods.
    """
    rows, estimates = [], []
    for method in methods:
        row = Row(method)
        times: list[float] = []
        # The first answer loads and compiles, the second tells the set-up, the third how long a step takes.
        for answers, again in enumerate((True, True, False)):
            if again:
                method.begin(first)
            method.restart()
            answer = _attempt(method, first)
            row.setup = answer.setup if again else row.setup
            # Libraries load in less than that, but what is compiled can take much longer.
            if answers == 0 and method.compiles:
                continue
            times.append(answer.seconds)
            if answer.seconds > 1:
                break
        method.restart()
        if answer.seconds > budget / 4:
            row.record(len(sequence), first, answer, rtol)
        rows.append(row)
        estimates.append(min(times))
        log.info("  %s: about %.1f ms", method.name, 1e3 * estimates[-1])
    shares = _shares(np.array(estimates), len(sequence), budget)
    places = [_places(row.method, share, len(sequence)) for row, share in zip(rows, shares, strict=True)]
    shuffled = np.random.default_rng(0)
    for i, step in enumerate(sequence):
        for place in shuffled.permutation(len(rows)):
            if i in places[place]:
                rows[place].record(i, step, _attempt(rows[place].method, step), rtol)
    return rows


def _portion(method: Method, step: Step) -> Step:
    return step.take(PORTION) if method.group == "iterative" else step


def _attempt(method: Method, step: Step) -> Answer:
    start = time.process_time()
    try:
        return method.solve(_portion(method, step))
    except Exception as error:  # noqa: BLE001  what breaks a peer is told in its row, and the others go on
        reason = f"{type(error).__name__}: {error}".splitlines()[0]
        return Answer(np.full_like(_portion(method, step).rhs, np.nan), time.process_time() - start, note=reason)


def _shares(estimates: np.ndarray, steps: int, budget: float) -> np.ndarray:
    """Share a budget of seconds: all steps for the quick methods, equal time for those that cannot do them all."""
    left, level = budget, np.inf
    for rank, cost in enumerate(np.sort(estimates) * steps):
        level = left / (len(estimates) - rank)
        if cost > level:
            break
        left, level = left - cost, np.inf
    shares = np.clip(level / np.maximum(estimates, 1e-9), LEAST, steps).astype(int)
    return np.where(estimates > budget / 4, 0, shares)


def _places(method: Method, share: int, steps: int) -> set[int]:
    """Return the steps that a method does."""
    if method.carries:
        return set(range(share))
    return {int(place) for place in np.linspace(0, steps - 1, share).round()}
