"""Training on samples that are all there: in files, in the store, in memory. Runs on the train worker."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.stores.training import forever, new_loop
from ritz.compute.problems.problem import Arrays, Problem
from ritz.compute.surrogates.surrogate import Surrogate
from ritz.compute.training.online import Online
from ritz.storage.loading import ShardStream
from ritz.storage.selection import Selection
from ritz.storage.store import Store

FIELDS = ("a", "u")
WARM = 3
"""Steps outside of the clock."""


@dataclass(frozen=True)
class Offline:
    """A training on the training samples of a dataset that is complete.

    Attributes
    ----------
    store, name
        Where the dataset lies; the files of `export` lie in a folder beside it.
    steps
        Batches to learn from on the clock.
    """

    store: str
    name: str
    problem: Problem
    surrogate: Surrogate
    training: Online
    steps: int

    @property
    def folder(self) -> Path:
        return Path(f"{self.store}-files")

    def selection(self) -> Selection:
        return Selection(Store(self.store), f"{self.name}@head")


def export(job: Offline) -> int:
    """Write each training sample into a file of its own, fields on top of each other, and return how many."""
    job.folder.mkdir()
    chosen = job.selection()
    arrays = chosen.read(list(range(len(chosen))))
    for row, sample in enumerate(chosen.sample_id):
        with _path(job, sample).open("wb") as file:
            np.save(file, np.stack([arrays[name][row] for name in FIELDS]))
            file.flush()
            # What has not reached the disk cannot be dropped from the cache.
            os.fsync(file.fileno())
    return len(chosen)


def files(job: Offline, cold: bool) -> float:
    """Read the samples of each batch from their files; cold: each is dropped from the page cache before."""
    ids = job.selection().sample_id
    rng = np.random.default_rng(job.training.seed)

    def drawn() -> Iterator[np.ndarray]:
        while True:
            order = rng.permutation(ids)
            for start in range(0, len(order) - job.training.batch_size + 1, job.training.batch_size):
                yield order[start : start + job.training.batch_size]

    def read(batch: np.ndarray) -> tuple[np.ndarray, Arrays]:
        samples = np.stack([np.load(_path(job, sample)) for sample in batch])
        return batch, {name: samples[:, part] for part, name in enumerate(FIELDS)}

    def drop(batch: np.ndarray) -> None:
        for sample in batch:
            with _path(job, sample).open("rb") as file:
                os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)

    return _clocked(job, drawn(), read, drop if cold else lambda _: None)


def stored(job: Offline) -> float:
    """Stream the batches from the store, whole shards ahead, in random order."""
    batches = forever(ShardStream(job.selection(), batch_size=job.training.batch_size))

    def read(_: object) -> tuple[np.ndarray, Arrays]:
        arrays = {name: values.numpy() for name, values in next(batches).items()}
        return arrays.pop("sample_id"), arrays

    def turns() -> Iterator[None]:
        while True:
            yield None

    try:
        return _clocked(job, turns(), read, lambda _: None)
    finally:
        batches.close()


def memory(job: Offline) -> float:
    """Draw the batches from arrays that hold all samples."""
    chosen = job.selection()
    arrays, rng = chosen.read(list(range(len(chosen)))), np.random.default_rng(job.training.seed)

    def drawn() -> Iterator[np.ndarray]:
        while True:
            yield rng.integers(len(chosen), size=job.training.batch_size)

    def read(rows: np.ndarray) -> tuple[np.ndarray, Arrays]:
        return chosen.sample_id[rows], {name: values[rows] for name, values in arrays.items()}

    return _clocked(job, drawn(), read, lambda _: None)


def _clocked(
    job: Offline,
    turns: Iterator[Any],
    read: Callable[[Any], tuple[np.ndarray, Arrays]],
    before: Callable[[Any], None],
) -> float:
    """Learn from a batch a turn and return the seconds, what comes ``before`` each turn not counted."""
    chosen = job.selection()
    first = chosen.read(list(range(min(64, len(chosen)))))
    loop = new_loop(job.problem.template(1), first, job.surrogate, job.training, job.steps + WARM)
    seconds = 0.0
    for step in range(job.steps + WARM):
        turn = next(turns)
        before(turn)
        start = time.perf_counter()
        loop.learn(*read(turn))
        if step >= WARM:
            seconds += time.perf_counter() - start
    return seconds


def _path(job: Offline, sample: int) -> Path:
    return job.folder / f"{sample}.npy"
