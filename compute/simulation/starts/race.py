"""A start that is chosen by a measured race, as solvers are."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from ritz.compute.simulation.posing import first_of_correction
from ritz.compute.simulation.quickest import quickest
from ritz.compute.simulation.starts.answered import Answered, Solvers, answered
from ritz.compute.simulation.starts.record import OWN, StartChoice, StartLeftOut, StartTried
from ritz.compute.solvers.choice.auto import REACH, Auto

if TYPE_CHECKING:
    from ritz.compute.problems.problem import Arrays, Problem
    from ritz.compute.simulation.starts.start import Start, Starts
    from ritz.compute.solvers.solver import Solver

PROBED, TOGETHER = 12, 3
"""Samples that the starts are tried on at most, and how many of them are solved at once."""

PATIENCE = 60.0
"""Seconds after which no further samples are solved for the choice."""

GAIN = 0.9
"""Share of the seconds of the problem's own start that another may take at most to be chosen: less is noise."""


@dataclass(frozen=True)
class Way:
    """How samples are solved: from which start, None for the problem's own, and by which solvers."""

    starts: Starts | None
    solvers: Solvers

    @property
    def name(self) -> str:
        """Name of the start."""
        return OWN if self.starts is None else self.starts.name

    def solve(self, problem: Problem, inputs: Mapping[str, np.ndarray], rows: np.ndarray, rtol: float) -> Answered:
        """Solve some of the samples, by their positions; see `answered`."""
        given = {name: values[rows] for name, values in inputs.items()}
        return answered(problem, given, self._begin(rows), self.solvers, rtol)

    def _begin(self, rows: np.ndarray) -> Start | None:
        return None if self.starts is None else self.starts.of(rows)


@dataclass
class _Contender:
    """A start in the race and what came of it so far."""

    way: Way
    share: float
    seconds: list[float] = field(default_factory=list)
    residuals: list[float] = field(default_factory=list)
    samples: int = 0
    iterations: int = 0
    systems: int = 0
    lost: int = 0
    missed: int = 0
    running: bool = True

    @property
    def median(self) -> float:
        """Seconds per sample, those included that were spent for all samples at once."""
        return float(np.median(self.seconds)) + self.share

    def measure(self, problem: Problem, inputs: Mapping[str, np.ndarray], rows: np.ndarray, rtol: float) -> None:
        """Solve some samples and take the time; the residual of the start is no part of it."""
        began = time.process_time()
        found = self.way.solve(problem, inputs, rows, rtol)
        self.seconds.append((time.process_time() - began) / len(rows))
        self.samples += len(rows)
        self.iterations += sum(found.ledger["iterations"])
        self.systems += found.systems
        self.lost += int(found.lost.sum())
        self.missed += int((~found.good).sum())
        if self.way.starts is not None:
            given = {name: values[rows] for name, values in inputs.items()}
            with np.errstate(all="ignore"):
                self.residuals += problem.residual(given, self.way.starts.of(rows).fields).tolist()

    def tried(self) -> StartTried:
        """Return what was measured."""
        residual = float(np.median(self.residuals)) if self.residuals else np.nan
        return StartTried(
            start=self.way.name,
            samples=self.samples,
            residual=residual if np.isfinite(residual) else None,
            iterations=self.iterations / self.samples,
            systems=self.systems / self.samples,
            seconds=self.median,
            lost=self.lost,
            missed=self.missed,
        )


def race(
    problem: Problem,
    inputs: Mapping[str, np.ndarray],
    starts: Sequence[Starts],
    rtol: float,
    left_out: Sequence[StartLeftOut] = (),
) -> tuple[Way, StartChoice]:
    """Choose the start from which samples are solved in the least time, measured on a few of them.

    The problem's own start and the others solve the same samples in turn, a few at a time, to the same true residual.
    A start that takes more than three times the leader's time is given up. Of those that miss fewest samples the
    quickest wins, if it saves a tenth of the time of the problem's own start; else that one does. What a start costs to
    be made counts. Each solves with the solver that is measured to be the quickest for its first systems.

    Parameters
    ----------
    problem
        Whose equations they are.
    inputs
        ``(n, *dims)`` for every input, n ≥ 1.
    starts
        What is tried beside the problem's own start.
    rtol
        Largest true relative residual of a good sample.
    left_out
        What is not tried, and why: for the record.

    Returns
    -------
    way
        The winner with its solvers.
    choice
        What was measured; nothing where there is one start alone.
    """
    count = len(next(iter(inputs.values())))
    rows = np.unique(np.linspace(0, count - 1, min(count, PROBED)).astype(int))
    own = quickest(problem, _rows(inputs, rows[:TOGETHER]), rtol)
    if starts and (reason := problem.uncorrectable()):
        left_out = (*left_out, *(StartLeftOut(start=one.name, reason=reason) for one in starts))
        starts = ()
    if not starts:
        return Way(None, Solvers(own)), StartChoice(rtol=rtol, left_out=tuple(left_out), chosen=OWN, solver=_of(own))
    solvers = Solvers(own, _for_change(problem, inputs, starts[0], rows[:TOGETHER], rtol))
    ways = [Way(None, solvers), *(Way(one, solvers) for one in starts)]
    contenders = [_Contender(way, 0.0 if way.starts is None else way.starts.seconds / count) for way in ways]
    for contender in contenders:
        # The first solves compile kernels and touch libraries.
        contender.way.solve(problem, inputs, rows[:1], rtol)
    began = time.perf_counter()
    for turn, begin in enumerate(range(0, len(rows), TOGETHER)):
        if turn and time.perf_counter() - began > PATIENCE:
            break
        running = [contender for contender in contenders if contender.running]
        for k in range(len(running)):
            running[(turn + k) % len(running)].measure(problem, inputs, rows[begin : begin + TOGETHER], rtol)
        least = min(contender.median for contender in running)
        for contender in running:
            contender.running = contender.median <= REACH * least
    return _decided(contenders, rtol, left_out)


def _decided(
    contenders: Sequence[_Contender], rtol: float, left_out: Sequence[StartLeftOut]
) -> tuple[Way, StartChoice]:
    """Return the winner; the first contender has the problem's own start."""
    first, fewest = contenders[0], min(one.missed / one.samples for one in contenders)
    able = sorted((one for one in contenders if one.missed / one.samples <= fewest), key=lambda one: one.median)
    winner = able[0]
    if first in able and winner.median > GAIN * first.median:
        winner = first
    others = [one.median for one in able if one is not winner]
    solvers = winner.way.solvers
    choice = StartChoice(
        rtol=rtol,
        tried=tuple(one.tried() for one in sorted(contenders, key=lambda one: one.median)),
        left_out=tuple(left_out),
        chosen=winner.way.name,
        ratio=min(others) / winner.median if others else None,
        solver=_of(solvers.own if winner is first else solvers.change),
    )
    return winner.way, choice


def _for_change(
    problem: Problem, inputs: Mapping[str, np.ndarray], starts: Starts, rows: np.ndarray, rtol: float
) -> Solver:
    """Return the quickest solver of the systems for a change of fields."""
    systems = first_of_correction(problem, _rows(inputs, rows), starts.of(rows).fields)
    return Auto() if systems is None or not systems.finite().any() else Auto().choose(systems, rtol=rtol)[0]


def _of(solver: Solver) -> dict[str, object]:
    return solver.model_dump(mode="json")


def _rows(inputs: Mapping[str, np.ndarray], rows: np.ndarray) -> Arrays:
    return {name: values[rows] for name, values in inputs.items()}
