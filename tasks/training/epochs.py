from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from ritz.compute.surrogates.normalisation import Arrays
from ritz.compute.training.samples.epochs import PART, Epochs, InMemory
from ritz.compute.training.samples.supply import Reading
from ritz.storage.selection import Selection
from ritz.storage.store import Store

_MIB = 2**20


def passes(store: Store, spec: str, reading: Reading) -> Epochs:
    """Return the samples of a version to train on: in memory if they may be kept there, else read in every epoch."""
    train, validate = (Selection(store, spec, splits=(split,)) for split in ("train", "validate"))
    if len(train) and _bytes(train) > reading.memory * _MIB:
        return _Streamed(train, validate, reading)
    kept = dict(train.reader.empty(len(train)))
    for shard, places in train.by_shard().items():
        train.read_shard(shard, places, kept, places)
    return InMemory(train.sample_id, kept, _first(validate, reading.validation), reading.seed)


class _Streamed:
    """Samples that are read from the store in every epoch, shard by shard; see `ritz.storage.loading.ShardStream`."""

    def __init__(self, train: Selection, validate: Selection, reading: Reading) -> None:
        self.samples = len(train)
        self._train, self._validate, self._reading = train, validate, reading

    def head(self, n: int) -> Arrays:
        """Return samples from all over the set; see `Epochs.head`."""
        rng = np.random.default_rng(self._reading.seed)
        places = np.sort(rng.choice(self.samples, min(n, self.samples), replace=False))
        return dict(self._train.read(places))

    def epoch(self, number: int) -> Iterator[tuple[np.ndarray, Arrays]]:
        """Yield every sample once; see `Epochs.epoch`."""
        from ritz.storage.loading import ShardStream

        reading = self._reading
        stream = ShardStream(self._train, batch_size=PART, seed=reading.seed, window=reading.window)
        stream.set_epoch(number)
        for batch in stream:
            arrays = {name: values.numpy() for name, values in batch.items()}
            yield arrays.pop("sample_id"), arrays

    def validation(self, n: int) -> tuple[np.ndarray, Arrays]:
        """Return the first samples to validate on; see `Epochs.validation`."""
        return _first(self._validate, n)


def _first(selection: Selection, n: int) -> tuple[np.ndarray, Arrays]:
    places = np.arange(min(n, len(selection)))
    return selection.sample_id[places], dict(selection.read(places)) if len(places) else {}


def _bytes(selection: Selection) -> int:
    """Return the bytes of all selected samples in memory."""
    one = selection.read(np.arange(1))
    return len(selection) * sum(values.nbytes for values in one.values())
