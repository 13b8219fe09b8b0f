"""Measuring solvers beside each other on the same systems."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ritz.compute.solvers.solver import COLUMNS, Ledger, Solver
from ritz.compute.solvers.systems import Systems


@dataclass
class Lane:
    """A solver, the systems it is to solve in this order, and what came of it.

    Attributes
    ----------
    heats
        The systems, cut in parts that are solved in one call.
    carries
        Whether the state goes on from heat to heat.
    cold
        The state every heat begins with if it does not.
    ledger
        Of the systems solved so far.
    running
        Whether it is still to be measured.
    cost
        Processor seconds per system, heat by heat: unlike the time in the ledger it does not grow when the machine is
        busy with something else.
    """

    solver: Solver
    heats: Sequence[Systems]
    carries: bool = True
    cold: Any = None
    ledger: Ledger = field(default_factory=lambda: {name: [] for name in COLUMNS})
    running: bool = True
    carry: Any = None
    cost: list[float] = field(default_factory=list)

    @property
    def seconds(self) -> float:
        """Processor seconds per system, the median over the heats."""
        return float(np.median(self.cost)) if self.cost else 0.0

    @property
    def missed(self) -> int:
        """Systems that the solver could not answer itself."""
        rows = zip(self.ledger["status"], self.ledger["solver"], strict=True)
        return sum(status != "ok" or name != self.solver.kind for status, name in rows)

    def heat(self, i: int, rtol: float) -> None:
        """Solve one heat."""
        start = time.process_time()
        solutions, carry = self.solver.solve(self.heats[i], rtol=rtol, carry=self.carry if self.carries else self.cold)
        self.cost.append((time.process_time() - start) / len(self.heats[i]))
        self.carry = carry
        for name in COLUMNS:
            self.ledger[name] += solutions.ledger[name]

    def summary(self) -> dict[str, Any]:
        """Return ``systems``, ``iterations`` and ``matvecs`` (means), ``seconds`` (median), ``max_residual``."""
        worst = float(np.max(self.ledger["residual"]))
        return {
            "systems": len(self.ledger["seconds"]),
            "iterations": float(np.mean(self.ledger["iterations"])),
            "matvecs": float(np.mean(self.ledger["matvecs"])),
            "seconds": self.seconds,
            "max_residual": worst if np.isfinite(worst) else None,
        }


def race(lanes: Sequence[Lane], rtol: float, *, reach: float = np.inf, limit: float = np.inf) -> None:
    """Run lanes beside each other, one heat of each in turn, so that a change of the machine's speed meets all.

    Parameters
    ----------
    lanes
        What is measured; they are filled in.
    rtol
        Largest true relative residual of a good answer.
    reach
        A lane that takes more than this many times the time of the quickest one that missed nothing stops; after the
        first heat, where nothing has been carried yet, only one that takes more than the square of it, and from the
        third heat on already one that takes more than the root of it, unless its last heat was better.
    limit
        Seconds after which no further heat begins; every lane has at least one.
    """
    start = time.perf_counter()
    for i in range(max(len(lane.heats) for lane in lanes)):
        if i > 0 and time.perf_counter() - start > limit:
            return
        running = [lane for lane in lanes if lane.running and i < len(lane.heats)]
        # Each comes first in its turn: what one leaves in the caches is the next one's.
        for k in range(len(running)):
            lane = running[(i + k) % len(running)]
            if i == 0:
                # What is done once for a pattern or for the one matrix of a block, and the first touch of libraries,
                # belongs to no system.
                block = lane.heats[0].operators.constant and len(lane.heats[0]) > 1
                lane.solver.solve(lane.heats[0].take(slice(2 if block else 1)), rtol=rtol)
            lane.heat(i, rtol)
        able = [lane.seconds for lane in running if lane.missed == 0]
        allowed = reach ** (2.0 if i == 0 else 1.0 if i == 1 else 0.5)
        for lane in running:
            if able and min(lane.seconds, lane.cost[-1]) > allowed * min(able):
                lane.running = False
