from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from ritz.compute.surrogates.normalisation import Arrays


class Slots:
    """The samples that a buffer holds, each with its id and whether it was drawn: the state that a policy moves.

    Samples stand in a row, and a policy (`ritz.compute.training.buffers.buffer.Buffer`) names them by their position in
    it. Memory for ``capacity`` samples is reserved with the first and none after that.

    Parameters
    ----------
    capacity
        Largest number of samples.
    """

    def __init__(self, capacity: int) -> None:
        self.capacity = capacity
        self._ids = np.empty(capacity, np.int64)
        self._seen = np.zeros(capacity, np.bool_)
        self._fields: Arrays = {}
        # Where in the arrays the sample at a position lies; what lies beyond the count is free.
        self._places = np.arange(capacity)
        self._count = 0

    def __len__(self) -> int:
        """Return the number of samples."""
        return self._count

    @property
    def full(self) -> bool:
        """Whether there is no room for another sample."""
        return self._count == self.capacity

    @property
    def ids(self) -> np.ndarray:
        """Ids in the order of the row, ``(n,)`` int64."""
        return self._ids[self._places[: self._count]]

    @property
    def seen(self) -> np.ndarray:
        """Whether each was drawn since it came, ``(n,)`` bool, in the order of the row."""
        return self._seen[self._places[: self._count]]

    def append(self, sample: int, fields: Mapping[str, np.ndarray]) -> None:
        """Put a sample at the end of the row; its fields, ``dims`` each, are copied."""
        if self.full:
            raise ValueError(f"all {self.capacity} slots are taken; remove or replace a sample first")
        self._count += 1
        self.replace(self._count - 1, sample, fields)

    def replace(self, position: int, sample: int, fields: Mapping[str, np.ndarray]) -> None:
        """Put a sample in the place of another."""
        if not self._fields:
            self._fields = {k: np.empty((self.capacity, *v.shape), v.dtype) for k, v in fields.items()}
        place = self._places[position]
        for name, values in self._fields.items():
            values[place] = fields[name]
        self._ids[place], self._seen[place] = sample, False

    def read(self, positions: np.ndarray) -> tuple[np.ndarray, Arrays]:
        """Return samples by position and mark them as seen.

        Returns
        -------
        ids, fields
            ``(n,)`` int64 and ``(n, *dims)`` for every variable; copies.
        """
        places = self._places[positions]
        self._seen[places] = True
        return self._ids[places], {name: values[places] for name, values in self._fields.items()}

    def remove(self, positions: np.ndarray) -> None:
        """Take samples out, ``(n,)`` different positions; the others close ranks and keep their order."""
        row = self._places[: self._count]
        kept, gone = np.delete(row, positions), row[positions]
        self._places = np.concatenate([kept, gone, self._places[self._count :]])
        self._count = len(kept)

    def restore(self, ids: np.ndarray, seen: np.ndarray, fields: Mapping[str, np.ndarray]) -> None:
        """Fill empty slots with what others held, in the same order.

        Raises
        ------
        ValueError
            If there are samples already, or too few slots.
        """
        if self._count or len(ids) > self.capacity:
            raise ValueError(
                f"{len(ids)} samples do not fit a buffer of {self.capacity} that holds {self._count}; "
                "restore into an empty one of the same capacity"
            )
        for row, sample in enumerate(ids):
            self.append(int(sample), {name: values[row] for name, values in fields.items()})
        self._seen[self._places[: len(ids)]] = seen
