from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from ritz.compute.surrogates.normalisation import Arrays
from ritz.compute.training.replay import stack
from ritz.compute.training.samples.block import Block
from ritz.compute.training.samples.epochs import Epochs, parts
from ritz.compute.training.samples.supply import Reading
from ritz.storage.cached import CachedSamples
from ritz.storage.reading import read
from ritz.storage.selection import Selection
from ritz.storage.store import Store

_CHOICE, _ARRIVAL = 0, 1
"""What a seed draws: which samples, and the order in which their shards come."""


class Chosen:
    """Some training samples of a version, drawn by a seed: as epochs for offline and as a stream for online training.

    With one seed the fewer are among the more. It is a `ritz.compute.training.samples.supply.Supply` and its own
    `ritz.compute.training.samples.epochs.Epochs`, with the orders of `ritz.compute.training.samples.epochs.InMemory`.

    Parameters
    ----------
    store, spec
        The version, ``NAME@SNAPSHOT``.
    samples
        How many to take.
    seed
        Draws them, the orders of the epochs and the order of arrival.
    memory
        Bytes of fields that stay in memory.
    shard
        Training samples of one block of the stream: neighbours in the order of solving. Blocks come in random order.
    validate
        Samples of the validate split, which are block 0 of the stream.
    """

    def __init__(
        self, store: Store, spec: str, samples: int, seed: int, memory: int, *, shard: int, validate: int
    ) -> None:
        train, checked = (Selection(store, spec, splits=(split,)) for split in ("train", "validate"))
        if samples > len(train):
            raise ValueError(f"samples is {samples}, expected at most the {len(train)} good training samples of {spec}")
        self.samples, self._seed = samples, seed
        drawn = np.random.default_rng([seed, _CHOICE]).permutation(len(train))[:samples]
        self.ids = train.sample_id[drawn]
        """Ids of the samples, ``(samples,)`` int64, in random order."""
        self.stream = train.sample_id[np.sort(drawn)]
        """The same in the order in which they were solved: neighbours are alike."""
        self._validation, self._validate, self._shard = checked.sample_id, validate, shard
        self.template = read(store, spec)
        """Variables and coordinates of the samples."""
        self._fields = CachedSamples(Selection(store, spec, splits=("train", "validate")), memory)

    def head(self, n: int) -> Arrays:
        """Return at most ``n`` of the samples; see `ritz.compute.training.samples.epochs.Epochs.head`."""
        return self._read(self.ids[:n])

    def epoch(self, number: int) -> Iterator[tuple[np.ndarray, Arrays]]:
        """Yield every sample once; see `ritz.compute.training.samples.epochs.Epochs.epoch`."""
        for rows in parts(self.samples, self._seed, number):
            ids = self.ids[rows]
            yield ids, self._read(ids)

    def validation(self, n: int) -> tuple[np.ndarray, Arrays]:
        """Return the first ``n`` samples to validate on: the same ones for every seed."""
        ids = self._validation[:n]
        return ids, self._read(ids)

    def epochs(self, reading: Reading) -> Epochs:
        """Return itself: the orders of its epochs come from the seed it has; see `Supply.epochs`."""
        del reading
        return self

    def arrivals(self, received: frozenset[int]) -> Iterator[Block]:
        """Yield the samples as solvers would deliver them; see `Supply.arrivals`."""
        if 0 not in received:
            ids, fields = self.validation(self._validate)
            yield Block(0, ids, np.full(len(ids), "validate"), fields)
        parts = [self.stream[start : start + self._shard] for start in range(0, self.samples, self._shard)]
        for number in np.random.default_rng([self._seed, _ARRIVAL]).permutation(len(parts)).tolist():
            if number + 1 not in received:
                ids = parts[number]
                yield Block(number + 1, ids, np.full(len(ids), "train"), self._read(ids))

    def refill(self, ids: np.ndarray) -> Block:
        """Return samples by their ids, for a training that goes on; see `Supply.refill`."""
        return Block(-1, ids, np.full(len(ids), "train"), self._read(ids))

    def _read(self, ids: np.ndarray) -> Arrays:
        return stack(ids, self._fields.read(ids))
