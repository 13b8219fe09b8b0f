"""What a training learns from, block by block."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np
import xarray as xr

from ritz.compute.cluster.consumer import receive
from ritz.compute.problems.problem import Arrays
from ritz.compute.training.samples.block import Block
from ritz.compute.training.samples.epochs import Epochs
from ritz.compute.training.samples.supply import Reading
from ritz.storage.datasets import Dataset
from ritz.storage.reading import read
from ritz.storage.samples import Samples
from ritz.storage.store import Store
from ritz.tasks.generation.dispatch import dispatch, owners
from ritz.tasks.generation.worker import Solved
from ritz.tasks.training.epochs import passes

if TYPE_CHECKING:
    from ritz.tasks.training.worker import Fitting


class Source:
    """Where the samples of one training come from: the channel, the store, or first one and then the other.

    It is a `ritz.compute.training.samples.supply.Supply`.
    """

    def __init__(self, job: Fitting) -> None:
        self.job, self.store, self.samples = job, Store(job.store), job.samples
        template = job.problem.template(1) if job.version is None else read(self.store, f"{job.dataset}@{job.version}")
        self.template: xr.Dataset = template if job.variables is None else template[list(job.variables)]

    def epochs(self, reading: Reading) -> Epochs:
        """Return the samples of the version; see `Supply.epochs`."""
        if self.job.version is None:
            raise RuntimeError(f"dataset {self.job.dataset!r} still grows: it is no fixed set of samples yet")
        return passes(self.store, f"{self.job.dataset}@{self.job.version}", reading)

    def refill(self, ids: np.ndarray) -> Block:
        """Return stored samples that a checkpoint had in its buffer."""
        dataset = self._dataset()
        if dataset is None:
            raise RuntimeError(f"dataset {self.job.dataset!r}, which the checkpoint was made with, is gone")
        return _block(dataset.read_samples(ids))

    def arrivals(self, received: frozenset[int]) -> Iterator[Block]:
        """Yield the shards of this rank that were not received before, each once, as they come."""
        ranks = owners(self.job.seed, self.job.shards, self.job.training.trainers)
        missing = set(np.flatnonzero(ranks == self.job.rank).tolist()) - received
        if self.job.channel is None:
            yield from self._stored(missing)
            return
        # What an earlier driver or trainer left behind comes from the store, the rest from the solvers.
        yield from self._take(missing, self._committed(missing))
        channel = receive(self.job.channel, self.job.rank)
        while missing:
            solved = next(channel)
            if solved is None:
                yield from self._take(missing, self._committed(missing))
            elif solved.receipt.index in missing:
                missing.discard(solved.receipt.index)
                yield _solved_block(solved)

    def _take(self, missing: set[int], shards: set[int]) -> Iterator[Block]:
        for block in self._stored(shards):
            missing.discard(block.shard)
            yield block

    def _dataset(self) -> Dataset | None:
        if self.job.version is not None:
            return Dataset.open(self.store, self.job.dataset).at(self.job.version)
        assert self.job.dataset_identity is not None
        return Dataset.find(self.store, self.job.dataset, self.job.dataset_identity)

    def _committed(self, missing: set[int]) -> set[int]:
        dataset = self._dataset()
        return set() if dataset is None else dataset.committed() & missing

    def _stored(self, shards: set[int]) -> Iterator[Block]:
        dataset = self._dataset() if shards else None
        if dataset is None:
            return
        for index in dispatch(self.job.seed, self.job.shards).tolist():
            if index in shards:
                stored = dataset.read_shard(index)
                if stored is None:
                    raise RuntimeError(f"shard {index} of dataset {self.job.dataset!r} is gone from the store")
                yield _block(stored, index)


def _solved_block(solved: Solved) -> Block:
    receipt = solved.receipt
    return _good_block(receipt.index, solved.ids, solved.split, solved.fields, receipt.ledger["status"])


def _good_block(
    shard: int, ids: np.ndarray, split: np.ndarray, fields: Arrays, status: Sequence[str] | np.ndarray
) -> Block:
    good = np.asarray(status) == "ok"
    return Block(shard, ids[good], split[good], {name: values[good] for name, values in fields.items()})


def _block(samples: Samples, shard: int = -1) -> Block:
    return _good_block(shard, samples.sample_id, samples.split, samples.arrays, samples.ledger["status"])
