"""Means over a population by a chain of rungs, and what follows from them, until intervals are narrow or time is up."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
import scipy

from ritz.compute.uncertainty.propagation.chain import Chain
from ritz.compute.uncertainty.propagation.points import FIRST, REPLICATES, Points, of_term

BLOCK = 64
"""Samples of a task."""


@dataclass(frozen=True)
class Wanted:
    """Samples on which a term of a chain is wanted.

    Attributes
    ----------
    term
        Its number, 0 of the truth.
    rungs
        Its rung, and the one whose values are subtracted if there is one.
    replicate
        To which the samples belong.
    """

    term: int
    rungs: tuple[str, ...]
    replicate: int
    points: Points


@dataclass(frozen=True)
class Answered:
    """What was found of some samples.

    Attributes
    ----------
    asked
        Which.
    values
        By rung ``(n, q)``, in the order of ``asked.rungs``.
    seconds
        Of each rung.
    """

    asked: Wanted
    values: tuple[np.ndarray, ...]
    seconds: tuple[float, ...]


Ask = Callable[[Iterable[Wanted]], Iterator[Answered]]
"""Answers all that is asked, in any order: in this process, or on workers."""


@dataclass
class Sums:
    """Counts, sums and sums of squares of a term's quantities, by replicate: all that is kept of its samples.

    Attributes
    ----------
    shift
        ``(q,)`` subtracted from every value first, so that squares do not cancel.
    count
        ``(replicates,)``.
    total, squares
        ``(replicates, q)``.
    """

    shift: np.ndarray
    count: np.ndarray = field(init=False)
    total: np.ndarray = field(init=False)
    squares: np.ndarray = field(init=False)

    def __post_init__(self) -> None:
        self.count = np.zeros(REPLICATES, np.int64)
        self.total, self.squares = (np.zeros((REPLICATES, len(self.shift))) for _ in range(2))

    def add(self, replicate: int, values: np.ndarray) -> None:
        """Add the values ``(n, q)`` of samples of a replicate."""
        shifted = values - self.shift
        self.count[replicate] += len(values)
        self.total[replicate] += shifted.sum(axis=0)
        self.squares[replicate] += (shifted**2).sum(axis=0)

    @property
    def samples(self) -> int:
        """How many samples there are."""
        return int(self.count.sum())

    def mean(self) -> np.ndarray:
        """Return the means, ``(q,)``."""
        return np.asarray(self.shift + self.total.sum(axis=0) / self.samples)

    def replicate_means(self) -> np.ndarray:
        """Return the means of each replicate, ``(replicates, q)``."""
        return np.asarray(self.shift + self.total / self.count[:, None])

    def variance(self, quasi_random: bool) -> tuple[np.ndarray, int]:
        """Return the squared standard errors of the means ``(q,)``, and their degrees of freedom.

        Of quasi-random points from the means of the replicates, which are independent; of random samples from all.
        """
        if quasi_random:
            means = self.total / self.count[:, None]
            return means.var(axis=0, ddof=1) / REPLICATES, REPLICATES - 1
        count = self.samples
        spread = self.squares.sum(axis=0) - self.total.sum(axis=0) ** 2 / count
        return np.maximum(spread, 0.0) / (count - 1) / count, count - 1


@dataclass(frozen=True)
class Estimates:
    """Means of quantities, or their standard deviations, with intervals.

    Attributes
    ----------
    value
        ``(q,)``.
    low, high
        ``(q,)``, the ends of the interval of the level.
    samples
        Of each term.
    seconds
        Of each rung, in all, by name.
    """

    value: np.ndarray
    low: np.ndarray
    high: np.ndarray
    samples: tuple[int, ...]
    seconds: dict[str, float]

    @property
    def half_width(self) -> np.ndarray:
        """Half of the intervals' widths, ``(q,)``."""
        return np.asarray((self.high - self.low) / 2)


class Telescope:
    """Estimates means by a chain, ever more precisely: a term doubles its samples where that gains most per second.

    Parameters
    ----------
    chain
        The rungs with their coefficients.
    shifts
        ``(rungs, q)``, about the mean of each term, as the pilot says.
    seed
        Of the population.
    leading
        Coordinates of quasi-random points; 0 for random samples.
    level
        Of the interval.
    """

    def __init__(self, chain: Chain, shifts: np.ndarray, seed: int, leading: int, level: float) -> None:
        self.chain, self.seed, self.leading, self.level = chain, seed, leading, level
        self.sums = [Sums(shift) for shift in shifts]
        self.points = [0] * len(chain.rungs)
        self.seconds = dict.fromkeys(chain.rungs, 0.0)

    def first(self, target: np.ndarray | None) -> list[int]:
        """Return how many points of each replicate to begin with: an eighth of what random samples would need."""
        if target is None:
            return [FIRST] * len(self.points)
        needed = self.chain.samples(target / self._quantile(np.inf)) / REPLICATES / 8
        return [max(FIRST, 2 ** int(np.log2(max(1.0, count)))) for count in needed]

    def asked(self, term: int, points: int) -> Iterator[Wanted]:
        """Yield what brings each replicate of a term to so many points, and count them as there."""
        rungs = self.chain.rungs[term : term + 2]
        for replicate in range(REPLICATES):
            new = of_term(self.seed, term, replicate, self.points[term], points, self.leading)
            for start in range(0, len(new), BLOCK):
                yield Wanted(term, rungs, replicate, new.taken(slice(start, start + BLOCK)))
        self.points[term] = points

    def add(self, answered: Answered) -> None:
        """Take in what was found."""
        term = answered.asked.term
        columns = [self._columns(*one) for one in zip(answered.asked.rungs, answered.values, strict=True)]
        values = columns[0]
        if len(columns) > 1:
            values = values - self.chain.coefficients[:, term] * columns[1]
        self.sums[term].add(answered.asked.replicate, values)
        for name, seconds in zip(answered.asked.rungs, answered.seconds, strict=True):
            self.seconds[name] += seconds

    def estimates(self) -> Estimates:
        """Return what is known so far."""
        weights = self.chain.weights()
        parts = self._variances()
        mean = sum(weights[:, term] * sums.mean() for term, sums in enumerate(self.sums))
        total = parts.sum(axis=0)
        freedom = np.array([sums.variance(bool(self.leading))[1] for sums in self.sums])
        with np.errstate(invalid="ignore", divide="ignore"):
            # Welch and Satterthwaite.
            of_all = np.where(total > 0, total**2 / (parts**2 / freedom[:, None]).sum(axis=0), np.inf)
        reach = np.sqrt(total) * self._quantile(of_all)
        return self._estimates(np.asarray(mean), mean - reach, mean + reach)

    def next_term(self, needed: np.ndarray) -> int:
        """Return which term is to have twice as many samples.

        Parameters
        ----------
        needed
            ``(q,)`` how much each quantity's variance counts.
        """
        prices = np.array(self.chain.prices) * [sums.samples for sums in self.sums]
        return int(np.argmax((self._variances() * needed).sum(axis=1) / prices))

    def _columns(self, rung: str, values: np.ndarray) -> np.ndarray:
        """Return the columns whose means are estimated, from quantities ``(n, q)`` on a rung: these themselves."""
        del rung
        return values

    def _estimates(self, value: np.ndarray, low: np.ndarray, high: np.ndarray) -> Estimates:
        return Estimates(value, low, high, tuple(sums.samples for sums in self.sums), dict(self.seconds))

    def _variances(self) -> np.ndarray:
        """Return the squared standard errors of the terms, ``(rungs, q)``, with their weights."""
        found = np.stack([sums.variance(bool(self.leading))[0] for sums in self.sums])
        return np.asarray(found * self.chain.weights().T ** 2)

    def _quantile(self, freedom: np.ndarray | float) -> np.ndarray:
        return np.asarray(scipy.stats.t.ppf(0.5 + self.level / 2, freedom))


def estimated(
    telescope: Telescope, ask: Ask, target: np.ndarray | None, time_is_up: Callable[[], bool], most: int
) -> Estimates:
    """Sample until the interval of every quantity is narrow enough, or time is up.

    Parameters
    ----------
    telescope
        What is known already.
    ask
        Answers.
    target
        ``(q,)`` half widths to reach; None goes on until time is up.
    time_is_up
        Asked between two doublings.
    most
        Samples of a term, at most.

    Returns
    -------
    estimates
        With a half width above its target where time was up, or a term has ``most`` samples.
    """
    _answer(telescope, ask, list(enumerate(telescope.first(target))))
    while True:
        found = telescope.estimates()
        reached = target is not None and np.all(found.half_width <= target)
        if reached or time_is_up():
            return found
        if target is None:
            # Of quantities with units of their own each counts as much.
            wanted = 1 / np.maximum(found.half_width, np.finfo(np.float64).tiny ** 0.25) ** 2
        else:
            wanted = (found.half_width > target) / target**2
        term = telescope.next_term(wanted)
        if 2 * telescope.points[term] * REPLICATES > most:
            return found
        _answer(telescope, ask, [(term, 2 * telescope.points[term])])


def _answer(telescope: Telescope, ask: Ask, wanted: Sequence[tuple[int, int]]) -> None:
    asked = [one for term, points in wanted for one in telescope.asked(term, points)]
    for answered in ask(asked):
        telescope.add(answered)
