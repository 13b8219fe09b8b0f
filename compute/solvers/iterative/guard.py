from __future__ import annotations

import logging
import math
from dataclasses import dataclass
from typing import Literal

log = logging.getLogger(__name__)

APPLICATION = 40.0
"""Passes that one application of ``A M`` is worth, with what else a step of the Arnoldi process does."""

BLOCK = 0.6
"""Passes that a pass within a product of matrices is worth, where vectors stay in cache."""

Phase = Literal["first", "trial", "hold", "check", "rest"]


def small_work(columns: int, size: int) -> float:
    """Return the work of an eigenvalue problem of a projected operator with so many columns, in passes."""
    return 50.0 * columns**3 / size


@dataclass
class Guard:
    """Decides along a sequence whether carrying a space from system to system pays, and drops it where it does not.

    The first system is solved cold. A *trial* of a few carried systems follows. If they took less work, on average,
    than the cold ones, the carry is held: after ``hold`` systems one is solved cold as a *check*, on the side, and
    as long as the carry wins the next check comes after twice as many. If the carry lost, systems are solved
    without it for ``rest`` systems; the last of them leaves a space for a new trial. Every trial that is lost
    doubles the rest.

    Work is counted, not clocked, so that a copy of the state decides alike: in *passes*, one being the multiply-add
    of a long vector with a basis vector. An application of ``A M`` counts as 40 passes, a pass within a product of
    matrices as 0.6 of one, an eigenvalue problem of the projected operator of ``m`` columns as ``50 m³ / n``. These
    are ratios of times; `benchmarks/recycling.py` shows what comes of them by the clock.

    Attributes
    ----------
    trial
        Carried systems in a trial. One alone ends it if it takes 1.2 times the work of a cold one.
    hold, rest
        Systems before the first check, and of the first rest.
    phase
        What the next system is for.
    left
        Systems left in this phase, the next one included.
    interval
        Length of the last hold or rest.
    cold
        Work of a cold solve, the newest measurement having half the weight; None before the first.
    spent, counted
        Work of the carried systems since the last decision, and their number.
    """

    trial: int = 3
    hold: int = 16
    rest: int = 16
    phase: Phase = "first"
    left: int = 1
    interval: int = 0
    cold: float | None = None
    spent: float = 0.0
    counted: int = 0

    @property
    def carries(self) -> bool:
        """Whether the next system starts from the carried space."""
        return self.phase in ("trial", "hold")

    @property
    def keeps(self) -> bool:
        """Whether the next system is to leave a space."""
        return self.carries or self.phase == "first" or (self.phase == "rest" and self.left == 1)

    def count(self, work: float, handover: float, solved: bool) -> bool:
        """Take note of a system and plan the next one.

        Parameters
        ----------
        work
            What it took to solve, in passes.
        handover
            What it took to make the space it leaves, which a solve that leaves none is spared.
        solved
            Whether it converged.

        Returns
        -------
        keep
            Whether the carried space is still wanted.
        """
        self.left -= 1
        if self.carries:
            self.spent += work + handover if solved else math.inf
            self.counted += 1
        else:
            cost = work if solved else math.inf
            self.cold = cost if self.cold is None or math.isinf(self.cold) else (self.cold + cost) / 2
        ratio = self._ratio()
        if self.phase == "trial" and ratio > 1.2:
            self.left = 0
        if self.left > 0:
            return self.phase != "rest"
        match self.phase:
            case "first" | "rest":
                self._begin("trial", self.trial)
            case "hold":
                self._begin("check", 1)
            case "trial" | "check":
                self._decide(ratio)
        return self.phase != "rest"

    def _ratio(self) -> float:
        """Return the mean work of the carried systems over that of a cold one."""
        if not self.counted or self.cold is None:
            return 0.0
        mean = self.spent / self.counted
        return math.inf if math.isinf(mean) else mean / self.cold

    def _decide(self, ratio: float) -> None:
        """Hold the carry, longer each time, or rest from it, longer each time."""
        wins = ratio <= 1
        first = self.hold if wins else self.rest
        # A trial that wins starts a new hold; one that loses goes on from the rest before it.
        again = self.phase == "check" if wins else self.phase == "trial"
        self.interval = 2 * self.interval if again and self.interval else first
        log.info(
            "%s the carry for %d systems: it takes %.2f of a cold solve",
            "holding" if wins else "dropping",
            self.interval,
            ratio,
        )
        self._begin("hold" if wins else "rest", self.interval)
        self.spent, self.counted = 0.0, 0

    def _begin(self, phase: Phase, length: int) -> None:
        self.phase, self.left = phase, length
