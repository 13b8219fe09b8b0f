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
class Contender:
    """A solver, the systems it is to solve in this order, and what came of it.

    Attributes
    ----------
    batches
        The systems, cut in parts that are solved in one call.
    carries
        Whether the state goes on from batch to batch.
    cold
        The state every batch begins with if it does not.
    ledger
        Of the systems solved so far.
    running
        Whether it is still to be measured.
    cost
        Processor seconds per system, batch by batch: unlike the time in the ledger it does not grow when the machine is
        busy with something else.
    """

    solver: Solver
    batches: Sequence[Systems]
    carries: bool = True
    cold: Any = None
    ledger: Ledger = field(default_factory=lambda: {name: [] for name in COLUMNS})
    running: bool = True
    carry: Any = None
    cost: list[float] = field(default_factory=list)

    @property
    def seconds(self) -> float:
        """Processor seconds per system, the median over the batches."""
        return float(np.median(self.cost)) if self.cost else 0.0

    @property
    def missed(self) -> int:
        """Systems that the solver could not answer itself."""
        rows = zip(self.ledger["status"], self.ledger["solver"], strict=True)
        return sum(status != "ok" or name != self.solver.kind for status, name in rows)

    def measure(self, i: int, rtol: float) -> None:
        """Solve one batch and take its time."""
        start = time.process_time()
        solutions, carry = self.solver.solve(
            self.batches[i], rtol=rtol, carry=self.carry if self.carries else self.cold
        )
        self.cost.append((time.process_time() - start) / len(self.batches[i]))
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


def interleave(contenders: Sequence[Contender], rtol: float, *, reach: float = np.inf, limit: float = np.inf) -> None:
    """Measure solvers beside each other, one batch of each in turn, so that a change of the machine's speed meets all.

    Parameters
    ----------
    contenders
        What is measured; they are filled in.
    rtol
        Largest true relative residual of a good answer.
    reach
        A contender that takes more than this many times the time of the quickest one that missed nothing stops; after
        the first batch, where nothing has been carried yet, only one that takes more than the square of it, and from
        the third batch on already one that takes more than the root of it, unless its last batch was better.
    limit
        Seconds after which no further batch begins; every contender has at least one.
    """
    start = time.perf_counter()
    for i in range(max(len(contender.batches) for contender in contenders)):
        if i > 0 and time.perf_counter() - start > limit:
            return
        running = [contender for contender in contenders if contender.running and i < len(contender.batches)]
        # Each comes first in its turn: what one leaves in the caches is the next one's.
        for k in range(len(running)):
            contender = running[(i + k) % len(running)]
            if i == 0:
                # What is done once for a pattern or for the one matrix of a block, and the first touch of libraries,
                # belongs to no system.
                block = contender.batches[0].operators.constant and len(contender.batches[0]) > 1
                contender.solver.solve(contender.batches[0].take(slice(2 if block else 1)), rtol=rtol)
            contender.measure(i, rtol)
        able = [contender.seconds for contender in running if contender.missed == 0]
        allowed = reach ** (2.0 if i == 0 else 1.0 if i == 1 else 0.5)
        for contender in running:
            if able and min(contender.seconds, contender.cost[-1]) > allowed * min(able):
                contender.running = False
