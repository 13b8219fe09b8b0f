"""Probabilities and quantiles of a quantity from samples, with exact intervals.

The difference of two models has no such interval: where they disagree in few samples or none, its variance is zero or
nearly so, and a nominal interval of 95 % held in 15 to 46 % (benchmarks/propagation.txt).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import scipy

from ritz.compute.uncertainty.propagation.chain import Pilot
from ritz.compute.uncertainty.propagation.points import BASE, Points
from ritz.compute.uncertainty.propagation.telescope import BLOCK, Ask, Wanted

SAFETY = 2.0
"""Times the largest error of a cheap rung in the pilot: so far its values are trusted, and no further."""

FIRST = 256
"""Samples to begin with."""


@dataclass(frozen=True)
class Screen:
    """A cheap rung that tells on which side of a threshold a sample lies, unless it is near.

    Attributes
    ----------
    rung
        Its name.
    slope, intercept
        The truth is about ``intercept + slope · value``.
    reach
        How far from that, at most: `SAFETY` times the largest distance in the pilot.
    """

    rung: str
    slope: float
    intercept: float
    reach: float

    @classmethod
    def of(cls, pilot: Pilot, rung: str, quantity: int) -> Screen:
        """Fit one to a pilot."""
        truth, cheap = (pilot.values[name][:, quantity] for name in (pilot.truth, rung))
        slope, intercept = np.polyfit(cheap, truth, 1) if np.ptp(cheap) > 0 else (0.0, float(truth.mean()))
        reach = SAFETY * float(np.abs(truth - intercept - slope * cheap).max())
        return cls(rung, float(slope), float(intercept), reach)

    def judged(self, values: np.ndarray, threshold: float) -> tuple[np.ndarray, np.ndarray]:
        """Return which samples are above a threshold, and which are too near for that to be known; ``(n,)`` bool."""
        distance = self.intercept + self.slope * values - threshold
        return distance > 0, np.abs(distance) <= self.reach


@dataclass(frozen=True)
class Share:
    """The share of a population above a threshold.

    Attributes
    ----------
    above, samples
        Counts.
    solved
        Of how many samples the truth was needed.
    low, high
        The exact interval of the level (C. J. Clopper and E. S. Pearson, Biometrika 26, 1934).
    seconds
        Of each rung, in all, by name.
    """

    above: int
    samples: int
    solved: int
    low: float
    high: float
    seconds: dict[str, float]

    @property
    def half_width(self) -> float:
        """Half of the interval's width."""
        return (self.high - self.low) / 2


def screens(pilot: Pilot, quantity: int, threshold: float) -> list[tuple[Screen, float]]:
    """Return the cheap rungs that save time, the best first, each with its seconds per sample, solves included.

    How many samples are too near to a threshold is told by the pilot, as the share of a normal distribution.
    """
    found = []
    truth = pilot.values[pilot.truth][:, quantity]
    for name in pilot.values:
        if name != pilot.truth:
            screen = Screen.of(pilot, name, quantity)
            middle, spread = float(truth.mean()), float(truth.std()) or 1.0
            ends = [(threshold + side * screen.reach - middle) / spread for side in (-1, 1)]
            near = float(np.diff(scipy.special.ndtr(ends))[0])
            price = pilot.prices[name] + near * pilot.prices[pilot.truth]
            if price < pilot.prices[pilot.truth]:
                found.append((screen, price))
    return sorted(found, key=lambda one: one[1])


def share_above(
    ask: Ask,
    truth: str,
    seed: int,
    quantity: int,
    threshold: float,
    screen: Screen | None,
    level: float,
    target: float | None,
    time_is_up: Callable[[], bool],
    most: int,
) -> Share:
    """Count samples above a threshold until the interval is narrow enough, or time is up.

    Parameters
    ----------
    ask
        Answers; see `ritz.compute.uncertainty.propagation.telescope`.
    truth
        Name of the rung.
    quantity
        Which column of the values.
    screen
        Judges samples that are far from the threshold; None solves all.
    target
        Half width to reach; None goes on until time is up.
    most
        Samples, at most.
    """
    above = solved = count = 0
    seconds: dict[str, float] = dict.fromkeys([truth] if screen is None else [truth, screen.rung], 0.0)

    def answered(points: Points, rung: str) -> Iterator[tuple[Points, np.ndarray]]:
        blocks = (points.taken(slice(first, first + BLOCK)) for first in range(0, len(points), BLOCK))
        for found in ask(Wanted(0, (rung,), 0, block) for block in blocks):
            seconds[rung] += found.seconds[0]
            yield found.asked.points, found.values[0][:, quantity]

    while True:
        new = min(max(FIRST, count), most - count)
        points = Points(seed, BASE + np.arange(count, count + new, dtype=np.int64))
        if screen is not None:
            near = []
            for block, values in answered(points, screen.rung):
                judged, unsure = screen.judged(values, threshold)
                above += int(np.count_nonzero(judged & ~unsure))
                near.append(block.ids[unsure])
            points = Points(seed, np.sort(np.concatenate(near)))
        for _, values in answered(points, truth):
            above += int(np.count_nonzero(values > threshold))
        solved, count = solved + len(points), count + new
        ends = scipy.stats.binomtest(above, count).proportion_ci(level, method="exact")
        share = Share(above, count, solved, float(ends.low), float(ends.high), dict(seconds))
        if (target is not None and share.half_width <= target) or time_is_up() or count >= most:
            return share


@dataclass(frozen=True)
class Quantile:
    """A quantile of a quantity over a population.

    Attributes
    ----------
    value, low, high
        Itself, and the ends of its interval.
    samples
        That were solved.
    seconds
        Of them.
    """

    value: float
    low: float
    high: float
    samples: int
    seconds: float


def quantiles(
    ask: Ask,
    truth: str,
    seed: int,
    count: int,
    share: float,
    level: float,
    time_is_up: Callable[[], bool],
    most: int,
) -> tuple[Quantile, ...]:
    """Solve random samples until time is up; return the quantile of each of ``count`` quantities.

    Raises
    ------
    ValueError
        If that was too few samples for an interval.
    """
    values, seconds = np.empty((0, count)), 0.0
    while True:
        new = min(max(FIRST, len(values)), most - len(values))
        points = Points(seed, BASE + np.arange(len(values), len(values) + new, dtype=np.int64))
        parts = []
        for found in ask(Wanted(0, (truth,), 0, points.taken(slice(i, i + BLOCK))) for i in range(0, new, BLOCK)):
            parts.append(found.values[0])
            seconds += found.seconds[0]
        values = np.concatenate([values, *parts])
        if time_is_up() or len(values) >= most:
            return tuple(
                Quantile(*quantile_interval(column, share, level), len(column), seconds) for column in values.T
            )


def quantile_interval(values: np.ndarray, share: float, level: float) -> tuple[float, float, float]:
    """Return a quantile of a population and the ends of its interval, from the order of random samples.

    The number of samples below the quantile is binomial, whatever the distribution (H. A. David and H. N. Nagaraja,
    "Order Statistics", 2003, section 7.1).

    Parameters
    ----------
    values
        ``(n,)`` of random samples.
    share
        Of the population that lies below, in (0, 1).
    level
        Of the interval.

    Raises
    ------
    ValueError
        If so few samples have no such interval.
    """
    count, ordered = len(values), np.sort(values)
    beside = (1 - level) / 2
    low = int(scipy.stats.binom.ppf(beside, count, share)) - 1
    high = int(scipy.stats.binom.ppf(1 - beside, count, share))
    if low < 0 or high > count - 1:
        needed = int(np.ceil(np.log(beside) / np.log(max(share, 1 - share))))
        raise ValueError(f"{count} samples have no interval of the quantile {share:g}, expected at least {needed}")
    return float(np.quantile(ordered, share)), float(ordered[low]), float(ordered[high])
