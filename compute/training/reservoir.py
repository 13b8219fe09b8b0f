from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from compute.surrogates.normalisation import Arrays


class Reservoir:
    """A buffer of bounded size from which batches are drawn with replacement.

    A draw is uniform over everything in the buffer. A sample that comes into a full buffer takes the place of
    a random *seen* one; while all are unseen the buffer refuses, so every sample is drawn at least once. The
    bias: a sample's chance to be drawn again depends on what arrives after it, and the last to arrive stay.

    Source: Meyer et al., "High throughput training of deep surrogates from large ensemble runs", SC 2023.

    Parameters
    ----------
    capacity
        Largest number of samples.
    rng
        Draws the batches and the samples to evict; its state belongs to the caller.
    """

    def __init__(self, capacity: int, rng: np.random.Generator) -> None:
        self.capacity, self._rng = capacity, rng
        self._ids = np.empty(capacity, np.int64)
        self._seen = np.zeros(capacity, np.bool_)
        self._fields: Arrays = {}
        self._count = 0

    def __len__(self) -> int:
        """Return the number of samples in the buffer."""
        return self._count

    @property
    def ids(self) -> np.ndarray:
        """Ids in the order of their slots, ``(n,)`` int64."""
        return self._ids[: self._count].copy()

    @property
    def seen(self) -> np.ndarray:
        """Whether each was drawn since it came, ``(n,)`` bool, in the order of the slots."""
        return self._seen[: self._count].copy()

    @property
    def fields(self) -> Arrays:
        """The samples' fields, ``(n, *dims)`` in the order of the slots; not to be written to."""
        return {name: values[: self._count] for name, values in self._fields.items()}

    def put(self, sample: int, fields: Mapping[str, np.ndarray]) -> bool:
        """Take in one sample, or refuse it.

        Parameters
        ----------
        sample
            Its id.
        fields
            ``dims`` for every variable; copied.

        Returns
        -------
        bool
            False if the buffer is full of unseen samples: draw first.
        """
        if self._count < self.capacity:
            slot = self._count
        else:
            seen = np.flatnonzero(self._seen)
            if len(seen) == 0:
                return False
            slot = int(self._rng.choice(seen))
        if not self._fields:
            self._fields = {k: np.empty((self.capacity, *v.shape), v.dtype) for k, v in fields.items()}
        for name, values in self._fields.items():
            values[slot] = fields[name]
        self._ids[slot], self._seen[slot] = sample, False
        self._count = max(self._count, slot + 1)
        return True

    def draw(self, n: int) -> tuple[np.ndarray, Arrays]:
        """Draw ``n`` samples with replacement and mark them as seen.

        Returns
        -------
        ids, fields
            ``(n,)`` int64 and ``(n, *dims)`` for every variable.

        Raises
        ------
        ValueError
            If the buffer is empty.
        """
        if self._count == 0:
            raise ValueError("the buffer is empty; put a sample in before drawing")
        slots = self._rng.integers(self._count, size=n)
        self._seen[slots] = True
        return self._ids[slots], {name: values[slots] for name, values in self._fields.items()}

    def restore(self, ids: np.ndarray, seen: np.ndarray, fields: Mapping[str, np.ndarray]) -> None:
        """Fill an empty buffer with what another held, slot by slot.

        Raises
        ------
        ValueError
            If the buffer is not empty or too small.
        """
        if self._count or len(ids) > self.capacity:
            raise ValueError(
                f"{len(ids)} samples do not fit a buffer of {self.capacity} that holds {self._count}; "
                "restore into an empty one of the same capacity"
            )
        for sample, row in zip(ids, range(len(ids)), strict=True):
            self.put(int(sample), {name: values[row] for name, values in fields.items()})
        self._seen[: len(ids)] = seen
