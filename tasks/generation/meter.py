from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

from ritz.tasks.documents.solving import Solving


class Meter:
    """Measures how well solve workers are used, in the process that drives them; see `Solving`."""

    def __init__(self, workers: int, shard: int) -> None:
        self._workers, self._shard = max(1, workers), shard
        self._shards, self._tasks, self._waited = 0, 0.0, 0.0
        self._begun, self._clock = time.monotonic(), time.process_time()

    def ended(self, seconds: float) -> None:
        """Count a task, which took so long on its worker."""
        self._shards += 1
        self._tasks += seconds

    @contextmanager
    def waiting(self) -> Iterator[None]:
        """Count the time of a block in which the driver waits for the trainer."""
        begun = time.monotonic()
        yield
        self._waited += time.monotonic() - begun

    def read(self) -> Solving:
        """Return what was measured so far, and judge it."""
        return Solving(
            workers=self._workers,
            shards=self._shards,
            shard=self._shard,
            seconds=time.monotonic() - self._begun,
            tasks=self._tasks,
            driver=time.process_time() - self._clock,
            waited=self._waited,
        ).judged()
