from __future__ import annotations

from collections.abc import Generator, Iterator, Mapping
from typing import Protocol

import numpy as np

from ritz.compute.surrogates.normalisation import Arrays

PART = 64
"""Samples of an epoch that are read together."""


class Epochs(Protocol):
    """A fixed set of training samples that can be gone through again and again.

    Attributes
    ----------
    samples
        How many there are.
    """

    samples: int

    def head(self, n: int) -> Arrays:
        """Return at most ``n`` of the samples, ``(n, *dims)`` for every variable; always the same ones."""

    def epoch(self, number: int) -> Iterator[tuple[np.ndarray, Arrays]]:
        """Yield every sample once, in parts of any size, in an order that the number of the epoch fixes.

        A part is ids ``(n,)`` int64 and fields ``(n, *dims)`` for every variable.
        """

    def validation(self, n: int) -> tuple[np.ndarray, Arrays]:
        """Return at most ``n`` samples of the validate split, ids and fields; always the same ones."""


class InMemory:
    """A set of samples that is held in memory, drawn in a new random order in every epoch.

    Parameters
    ----------
    ids, fields
        ``(n,)`` int64 and ``(n, *dims)`` for every variable: the samples to train on.
    validation
        Ids and fields of those to validate on.
    seed
        Draws the orders, together with the number of the epoch.
    """

    def __init__(
        self,
        ids: np.ndarray,
        fields: Mapping[str, np.ndarray],
        validation: tuple[np.ndarray, Mapping[str, np.ndarray]],
        seed: int,
        part: int = PART,
    ) -> None:
        self.samples = len(ids)
        self._ids, self._fields, self._validation, self._seed, self._part = ids, fields, validation, seed, part

    def head(self, n: int) -> Arrays:
        """Return the first samples; see `Epochs.head`."""
        return {name: values[:n] for name, values in self._fields.items()}

    def epoch(self, number: int) -> Iterator[tuple[np.ndarray, Arrays]]:
        """Yield every sample once; see `Epochs.epoch`."""
        for rows in parts(self.samples, self._seed, number, self._part):
            yield self._ids[rows], {name: values[rows] for name, values in self._fields.items()}

    def validation(self, n: int) -> tuple[np.ndarray, Arrays]:
        """Return the first samples to validate on; see `Epochs.validation`."""
        ids, fields = self._validation
        return ids[:n], {name: values[:n] for name, values in fields.items()}


def parts(samples: int, seed: int, number: int, part: int = PART) -> Iterator[np.ndarray]:
    """Yield the positions of samples in the random order that seed and number of an epoch fix, a part at a time."""
    order = np.random.default_rng([seed, number]).permutation(samples)
    for start in range(0, samples, part):
        yield order[start : start + part]


def batches(epochs: Epochs, batch_size: int, done: int) -> Generator[tuple[np.ndarray, Arrays], None, None]:
    """Yield batches without end: one epoch after the other, cut into batches that may reach over into the next.

    Parameters
    ----------
    epochs
        Has at least one sample.
    batch_size
        Samples in a batch.
    done
        Batches to leave out at the beginning: a training that goes on sees the same ones as one that was not stopped.

    Yields
    ------
    ids, fields
        ``(batch_size,)`` int64 and ``(batch_size, *dims)`` for every variable.
    """
    number, skip = divmod(done * batch_size, epochs.samples)
    held: list[tuple[np.ndarray, Arrays]] = []
    count = 0
    while True:
        for ids, fields in epochs.epoch(number):
            dropped = min(skip, len(ids))
            skip -= dropped
            if dropped == len(ids):
                continue
            held.append((ids[dropped:], {name: values[dropped:] for name, values in fields.items()}))
            count += len(ids) - dropped
            if count < batch_size:
                continue
            whole = np.concatenate([ids for ids, _ in held])
            joined = {name: np.concatenate([fields[name] for _, fields in held]) for name in fields}
            cut = count - count % batch_size
            for start in range(0, cut, batch_size):
                rows = slice(start, start + batch_size)
                yield whole[rows], {name: values[rows] for name, values in joined.items()}
            held = [(whole[cut:], {name: values[cut:] for name, values in joined.items()})]
            count -= cut
        number += 1
