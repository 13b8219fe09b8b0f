"""What intervals were worth on samples that nothing has seen."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ritz.compute.uncertainty.shares import (
    Interval,
    binomial,
    binomial_difference,
    clustered,
    detectable,
    difference,
    effective,
)

GROUPS = 5
"""By predicted difficulty the samples are told apart in so many groups of like size."""


@dataclass(frozen=True)
class WholeFields:
    """What bands that hold whole fields were worth.

    Attributes
    ----------
    inside, of
        Samples of which every point was inside, and all samples.
    width
        Mean of upper minus lower.
    """

    inside: int
    of: int
    width: float

    def document(self, level: float) -> dict[str, Any]:
        """Return the figures as run records have them."""
        low, high = binomial(self.inside, self.of)
        found = {"inside": self.inside, "of": self.of, "measured": self.inside / self.of, "low": low, "high": high}
        return found | {"width": self.width, "detects": detectable(level, self.of)}


@dataclass(frozen=True)
class Parts:
    """Coverage where it may differ from that of all points.

    Attributes
    ----------
    zones
        ``(n, z)`` share of the points of each sample inside, by ring of cells from the walls inwards
        (`ritz.compute.uncertainty.zones.rings`); None without walls.
    steps
        ``(n, t)`` by time; None without time.
    difficulty
        ``(n,)`` mean width of the intervals of each sample, by which the samples are told apart.
    """

    zones: np.ndarray | None = None
    steps: np.ndarray | None = None
    difficulty: np.ndarray | None = None

    def document(self, shares: np.ndarray) -> dict[str, Any]:
        """Return the shares with their intervals, as run records have them.

        Parameters
        ----------
        shares
            ``(n,)`` of all points of each sample.
        """
        found: dict[str, Any] = {}
        if self.zones is not None:
            found["by_zone"] = [_row(self.zones[:, k]) for k in range(self.zones.shape[1])]
        if self.steps is not None:
            steps = self.steps.T
            found["by_step"] = [_row(step) for step in steps]
            found["by_step_together"] = [list(clustered(step, together=len(steps))) for step in steps]
        if self.difficulty is not None and len(shares) >= 2 * GROUPS:
            order = np.argsort(self.difficulty, kind="stable")
            found["by_difficulty"] = [_row(shares[group]) for group in np.array_split(order, GROUPS)]
        return found


def _row(shares: np.ndarray) -> list[float]:
    return [float(shares.mean()), *clustered(shares)]


@dataclass(frozen=True)
class Coverage:
    """What intervals of one level were worth on samples that nothing has seen.

    Attributes
    ----------
    level
        Nominal coverage.
    shares
        ``(n,)`` share of the points of each sample inside.
    width
        Mean of upper minus lower.
    expected
        Between what the coverage is expected over calibrations, None where that is not known.
    fields
        What the wider bands around whole fields were worth, None where there are none.
    parts
        Coverage near walls, by time, by difficulty.
    more
        Figures of the method's own, by name.
    """

    level: float
    shares: np.ndarray
    width: float
    expected: Interval | None = None
    fields: WholeFields | None = None
    more: Mapping[str, float] = field(default_factory=dict)
    parts: Parts = Parts()

    @property
    def measured(self) -> float:
        """Share of the points inside."""
        return float(self.shares.mean())

    def drop(self, shifted: Coverage) -> dict[str, Any]:
        """Return by how much coverage falls on samples of another law, in points and fields, with intervals of 95 %."""
        found: dict[str, Any] = {"points": list(difference(self.shares, shifted.shares))}
        if self.fields is not None and shifted.fields is not None:
            ours, theirs = ((one.inside, one.of) for one in (self.fields, shifted.fields))
            found["fields"] = list(binomial_difference(ours, theirs))
        return found

    def document(self) -> dict[str, Any]:
        """Return the figures as run records have them."""
        low, high = clustered(self.shares)
        worst, tenth, median = np.quantile(self.shares, (0, 0.1, 0.5)).tolist()
        found: dict[str, Any] = {"nominal": self.level, "measured": self.measured, "width": self.width, **self.more}
        found |= {"low": low, "high": high, "effective": effective(self.shares)}
        found["by_sample"] = {"least": worst, "tenth": tenth, "median": median}
        found |= self.parts.document(self.shares)
        if self.expected is not None:
            found["expected"] = list(self.expected)
        if self.fields is not None:
            found["fields"] = self.fields.document(self.level)
        return found
