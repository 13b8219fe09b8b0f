"""What a commit costs in a dataset that holds few samples and in one that holds many."""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np
import xarray as xr

from benchmarks.stores.data import SHARD, definition, ledger
from benchmarks.stores.timing import Timed
from ritz.storage.committer import Committer
from ritz.storage.shards import write_shard
from ritz.storage.store import Store

POINTS = 8


class Growing:
    """A dataset of tiny samples, room for ``samples`` of them, filled up to a number."""

    def __init__(self, folder: Path, name: str, samples: int) -> None:
        empty = np.broadcast_to(np.float32(np.nan), (samples, POINTS))
        roles = {"d": "input", "u": "output"}
        template = xr.Dataset({field: (("sample", "x"), empty, {"role": role}) for field, role in roles.items()})
        self.dataset = Committer.ensure(Store(folder), name, **definition(template))
        self.fork = self.dataset.fork()
        self.ledger = ledger()
        self.next = 0

    def commit(self) -> float:
        """Write a shard and return the seconds its commit took."""
        fields = np.random.default_rng(self.next).standard_normal((SHARD, POINTS)).astype(np.float32)
        written = write_shard(self.fork, self.next, {"d": fields, "u": fields}, self.ledger)
        start = time.perf_counter()
        assert self.dataset.commit({self.next: (written, self.ledger)})
        self.next += 1
        return time.perf_counter() - start

    def fill(self, samples: int) -> None:
        while self.next * SHARD < samples:
            self.commit()


def commits(folder: Path, counts: tuple[int, int], repetitions: int) -> dict[int, Timed]:
    """Commit by turns in two datasets of one plan that hold different numbers of samples."""
    room = max(counts) + (repetitions + 1) * SHARD
    room += -room % SHARD
    datasets = {count: Growing(folder, f"holds-{count}", room) for count in counts}
    seconds: dict[int, list[float]] = {count: [] for count in counts}
    with datasets[counts[0]].dataset.lock(), datasets[counts[1]].dataset.lock():
        for count, dataset in datasets.items():
            dataset.fill(count)
        for _ in range(repetitions):
            for count, dataset in datasets.items():
                seconds[count].append(dataset.commit())
    return {count: Timed(tuple(taken)) for count, taken in seconds.items()}
