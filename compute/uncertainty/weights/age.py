from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, Literal

import numpy as np
from pydantic import Field

from ritz.compute.kind import Source, in_units
from ritz.compute.uncertainty.conformal.factors import Ordered
from ritz.compute.uncertainty.conformal.scores import Scores
from ritz.compute.uncertainty.weights.weights import FittedWeights, Known, Weights, effective

TRIED = (12.5, 25.0, 50.0, 100.0, 200.0, 400.0)
"""Foldings that a back-test tries, and equal weights."""

TESTS = 60
"""Samples that are forecast in a back-test, at most."""

Tested = tuple[tuple[float | None, float], ...]
"""By folding, None for equal weights: the coverage of samples that were forecast."""

_KEPT = 64
"""Scores of a sample that a back-test looks at."""


class FittedAge(FittedWeights):
    """Weights that fall with age.

    Attributes
    ----------
    ages
        Of the calibration samples, 1 for the youngest.
    folding
        Samples in which a weight falls by the factor e; None for equal weights.
    tested
        By folding, the coverage of the samples that were forecast in the back-test; empty where it was given.
    """

    kind: Literal["age"] = "age"
    ages: tuple[int, ...]
    folding: float | None
    tested: Tested = ()

    def fixed(self) -> np.ndarray:
        """Return the weights; see `FittedWeights.fixed`."""
        return by_age(np.array(self.ages), self.folding)

    def made(self) -> str:
        """Return how quickly they fall; see `FittedWeights.made`."""
        if self.folding is None:
            return "A back-test on earlier samples found no age at which they say less: all count the same."
        how = ", as a back-test on earlier samples chose" if self.tested else ""
        count = effective(self.fixed())
        return (
            f"The weight of a calibration sample falls by the factor e in {self.folding:g} samples{how}: they count as "
            f"{count:.0f} equal ones."
        )


class Age(Weights):
    """Weights that fall exponentially with age, for samples whose law drifts: streams, data that somebody adds to.

    The age of a sample is its place from the end of the dataset, among the calibration samples. The folding is found
    by a back-test: each of the later calibration samples is forecast from those before it, and of the foldings that
    were tried the one is taken whose coverage is nearest to the level. A short one follows a drift closely and leaves
    few samples, which by themselves make bands wider: 1/(1 + Σw) of the samples count as outside. Those are tried that
    leave enough for the highest level.

    In a dataset of one law it costs samples and gains nothing. There the order is that of solving, in which
    neighbours are alike.
    """

    sources: ClassVar[tuple[Source, ...]] = (
        Source(
            "Barber et al.",
            "Conformal prediction beyond exchangeability",
            2023,
            "Annals of Statistics 51",
            "weights that fall with age keep the coverage under drift",
            "drift.txt",
        ),
    )

    kind: Literal["age"] = "age"
    folding: float | None = Field(default=None, gt=0, json_schema_extra=in_units("samples"))
    """Calibration samples in which a weight falls by the factor e; found by a back-test by default."""

    def fit(self, known: Known) -> FittedAge:
        """Return the weights; see `Weights.fit`."""
        if known.places is None:
            raise ValueError("uncertainty.weights is 'age', but the order in which the samples came is not known")
        order = np.argsort(known.places, kind="stable")
        ages = np.empty(len(order), np.int64)
        ages[order] = np.arange(len(order), 0, -1)
        folding, tested = self.folding, Tested()
        if folding is None:
            scores = [Scores.of(one.values[order], _KEPT) for one in known.scores]
            folding, tested = back_tested(scores, known.level, known.highest)
        weights = by_age(ages, folding)
        least = 1 / (1 - known.level)
        if weights.sum() + 1 < least - 1e-9:
            raise ValueError(
                f"uncertainty.weights.folding is {folding:g}: the weights of {len(ages)} samples add up to "
                f"{weights.sum():.1f}, expected at least {least - 1:.0f} for the level {known.level:g}; a folding of "
                f"{least:.0f} would do with samples enough"
            )
        return FittedAge(ages=tuple(ages.tolist()), folding=folding, tested=tested)


def by_age(ages: np.ndarray, folding: float | None) -> np.ndarray:
    """Return ``exp(−age / folding)``, 1 without a folding.

    Parameters
    ----------
    ages
        ``(n,)``, 1 for the youngest.
    """
    found: np.ndarray = np.ones(len(ages)) if folding is None else np.exp(-ages / folding)
    return found


def back_tested(scores: Sequence[Scores], level: float, highest: float) -> tuple[float | None, Tested]:
    """Choose the folding whose forecasts hold the level best.

    Parameters
    ----------
    scores
        Of each output and zone, the samples in the order in which they came.
    level, highest
        Nominal coverages: that of the forecasts, and one for which a folding has to leave samples enough.

    Returns
    -------
    folding, tested
        None for equal weights; and the coverage of the forecasts by folding.
    """
    count = len(scores[0].values)
    first = max(count // 2, int(np.ceil(1 / (1 - level))))
    forecast = np.unique(np.linspace(first, count - 1, TESTS).astype(int)) if first < count else np.empty(0, int)
    if not len(forecast):
        return None, ()
    ordered = [Ordered.of(one) for one in scores]
    tested: list[tuple[float | None, float]] = []
    ages, least = np.arange(1, count + 1), 1 / (1 - highest)
    enough = [folding for folding in reversed(TRIED) if by_age(ages, folding).sum() + 1 >= least]
    for folding in (None, *enough):
        shares = []
        for now in forecast:
            weights = np.zeros(count)
            weights[:now] = by_age(np.arange(now, 0, -1), folding)
            shares += [
                float(np.average(one.values[now] <= order.factor(level, weights), weights=one.counts))
                for one, order in zip(scores, ordered, strict=True)
            ]
        tested.append((folding, float(np.mean(shares))))
    # Of like ones the first: it keeps the most samples.
    best = min(tested, key=lambda one: round(abs(one[1] - level), 3))
    return best[0], tuple(tested)
