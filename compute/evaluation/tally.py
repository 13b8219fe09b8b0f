"""How often values occur, in bins that are narrow beside the values."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

_DROPPED = 44
"""Of the 52 bits behind the leading one of a float64, those that a bin leaves out: 8 are left."""


@dataclass(frozen=True)
class Tally:
    """How many values lie in each bin ``(lower, upper]``, whose ends are at most 0.4 % (1/256) apart.

    An upper end is a number with 9 significant bits, and belongs to its bin. So does infinity. Tallies add up, whatever
    the values are: the bins are the same ones everywhere.

    Attributes
    ----------
    keys
        ``(k,)`` int64, rising: the bins in which there are values.
    counts
        ``(k,)`` int64.
    """

    keys: np.ndarray
    counts: np.ndarray

    @classmethod
    def of(cls, values: np.ndarray) -> Tally:
        """Count values, of any shape; not negative and not NaN."""
        # The bits of floating-point numbers that are not negative are in the order of the numbers.
        bits = np.ascontiguousarray(values, dtype=np.float64).ravel().view(np.int64)
        found = (bits + ((1 << _DROPPED) - 1)) >> _DROPPED
        if not found.size:
            return cls(np.empty(0, np.int64), np.empty(0, np.int64))
        low = int(found.min())
        counts = np.bincount(found - low)
        keys = np.flatnonzero(counts)
        return cls(keys + low, counts[keys].astype(np.int64))

    @classmethod
    def join(cls, parts: Iterable[Tally]) -> Tally:
        """Return the tally of all values of several."""
        parts = list(parts)
        every = np.concatenate([part.keys for part in parts])
        keys, at = np.unique(every, return_inverse=True)
        counts = np.zeros(len(keys), np.int64)
        np.add.at(counts, at, np.concatenate([part.counts for part in parts]))
        return cls(keys, counts)

    @property
    def total(self) -> int:
        """How many values there are."""
        return int(self.counts.sum())

    def quantile(self, share: float) -> float:
        """Return the upper end of the first bin up to which at least a share of the values lies.

        Examples
        --------
        >>> Tally.of(np.arange(1.0, 11.0)).quantile(0.9)
        9.0
        """
        reached = np.searchsorted(np.cumsum(self.counts), share * self.total - 1e-6)
        return float(edges(self.keys)[min(int(reached), len(self.keys) - 1)])


def edges(keys: np.ndarray) -> np.ndarray:
    """Return the upper ends of bins, float64 in the shape of ``keys``."""
    found: np.ndarray = (keys.astype(np.int64) << _DROPPED).view(np.float64)
    return found
