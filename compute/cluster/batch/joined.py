from __future__ import annotations

from typing import Any

from distributed import SchedulerPlugin


class Joined(SchedulerPlugin):
    """Remembers the names of all workers that have ever connected to the scheduler in the driver's process."""

    name = "joined"

    def __init__(self) -> None:
        self.names: set[str] = set()

    def add_worker(self, scheduler: Any, worker: str) -> None:
        """Take in the name of a worker, given by its address: Dask calls this."""
        self.names.add(str(scheduler.workers[worker].name))
