from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np

from ritz.compute.evaluation.measured import Measured
from ritz.compute.uncertainty.zones import RINGS

KEPT = 1024
"""Of the scores of a sample so many are kept, at most."""

_FEWEST = 256
"""Of the scores of a sample in one of many zones at least so many are kept."""


@dataclass(frozen=True)
class Scores:
    """The scores of some samples at many points, of each of which some are kept.

    Where a sample has more points than are kept, its sorted scores are cut into groups of like size, of which each
    stands for its largest: so no more points are said to be below a score than are, and at most 0.1 % less.

    Attributes
    ----------
    values
        ``(n, k)`` float64, rising along the second axis; infinite where there is no measure.
    points
        How many each sample has.
    """

    values: np.ndarray
    points: int

    @classmethod
    def of(cls, scores: np.ndarray, kept: int = KEPT) -> Self:
        """Keep of scores ``(n, *dims)``, not negative, at most so many of each sample."""
        flat = np.sort(scores.reshape(len(scores), -1).astype(np.float64), axis=1)
        return cls(flat[:, _last(flat.shape[1], kept)], flat.shape[1])

    @property
    def counts(self) -> np.ndarray:
        """For how many points each value of a sample stands, ``(k,)``."""
        return np.diff(_last(self.points, self.values.shape[1]), prepend=-1)

    def measured(self, name: str) -> Measured:
        """Return it as rows that join; see `of_measured`."""
        points = np.full(len(self.values), self.points)
        return Measured({f"{name}|values": self.values, f"{name}|points": points})

    @classmethod
    def of_measured(cls, measured: Measured, name: str) -> Self:
        """Read what `measured` returned of several parts, joined."""
        return cls(measured.rows[f"{name}|values"], int(measured.rows[f"{name}|points"][0]))


def kept_of(zones: int) -> int:
    """Return how many scores of a sample are kept in each of so many zones, at most.

    With more zones than there are rings, as of many stored times, fewer are kept: a factor may then leave up to 0.4 %
    fewer points outside than it is allowed.

    Examples
    --------
    >>> [kept_of(zones) for zones in (1, 6, 20, 100)]
    [1024, 1024, 307, 256]
    """
    return max(_FEWEST, min(KEPT, RINGS * KEPT // zones))


def _last(points: int, kept: int) -> np.ndarray:
    """Return the place of the largest of each group, among so many sorted points."""
    kept = min(points, kept)
    found: np.ndarray = -(-np.arange(1, kept + 1) * points // kept) - 1
    return found
