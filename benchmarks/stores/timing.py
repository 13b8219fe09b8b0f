"""Take turns, and say what a turn took."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Timed:
    """Seconds of each repetition."""

    seconds: tuple[float, ...]

    @property
    def median(self) -> float:
        return float(np.median(self.seconds))

    @property
    def spread(self) -> str:
        """Slowest over fastest."""
        return f"{max(self.seconds) / min(self.seconds):.2f}"


def clocked(work: Callable[[], object]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def interleaved(methods: Mapping[str, Callable[[], float]], repetitions: int) -> dict[str, Timed]:
    """Let all methods take turns in an order shuffled each round; each returns its own seconds.

    A first round outside of the books loads libraries and fills the page cache.
    """
    rng = np.random.default_rng(0)
    seconds: dict[str, list[float]] = {name: [] for name in methods}
    for name in methods:
        methods[name]()
    for _ in range(repetitions):
        for name in rng.permutation(list(methods)):
            seconds[name].append(methods[name]())
    return {name: Timed(tuple(taken)) for name, taken in seconds.items()}
