from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import ClassVar, Literal

import numpy as np

from ritz.compute.fields.dimensions import Dimensions
from ritz.compute.kind import Kind, Source
from ritz.compute.uncertainty.novelty.novelty import Judged, Novelty, worded
from ritz.compute.uncertainty.novelty.statistics import OF_DIFFERENCES, Statistic, natural, statistics

ONE_IN = 100
"""Of so many inputs of the law itself one is called outside at most: where its p-value is below the inverse."""

_FITTED = 3
"""One in so many known inputs fits the score, the others are ranked."""

_FLOOR = 1e-2
"""Least deviation of a statistic, in units of its input's deviation, so that rounding is no difference."""

_ROOM = 3.0
"""Deviations about what the other statistics let expect of one that are called expected."""

_LEAST, _DIGITS = 0.1, 6
"""Least score, and the decimals that count: what differs by rounding alone is a tie."""


class Ranking(Kind):
    """A score of statistics, and the scores of known inputs among which others are ranked.

    Attributes
    ----------
    names
        The statistics, in their order.
    location, scale
        Mean and standard deviation of each among the inputs that fit the score.
    factor
        Lower Cholesky factor of the correlations of these.
    farthest
        The largest of their distances, 1 at least, by which distances are divided.
    low, high
        Extremes of each statistic among these.
    known
        Rising scores of the inputs that did not fit it.
    """

    names: tuple[str, ...]
    location: tuple[float, ...]
    scale: tuple[float, ...]
    factor: tuple[tuple[float, ...], ...]
    farthest: float
    low: tuple[float, ...]
    high: tuple[float, ...]
    known: tuple[float, ...]

    @classmethod
    def fit(cls, found: Sequence[Statistic], fitted: np.ndarray, ranked: np.ndarray) -> Ranking:
        """Fit the score to some of the known inputs, and rank the others.

        Parameters
        ----------
        found
            Statistics of all known inputs.
        fitted, ranked
            Positions of the ones and the others.
        """
        values = np.stack([one.values for one in found], axis=1)
        own, count, size = values[fitted], len(fitted), len(found)
        floor = _FLOOR * np.array([one.unit for one in found])
        location, scale = own.mean(axis=0), np.sqrt(own.var(axis=0) + floor**2)
        standard = (own - location) / scale
        # Correlations of few inputs are drawn towards none, so that there is an inverse.
        shrunk = size / (count + size)
        factor = np.linalg.cholesky((1 - shrunk) * standard.T @ standard / count + shrunk * np.eye(size))
        unranked = cls(
            names=tuple(one.name for one in found),
            location=tuple(location.tolist()),
            scale=tuple(scale.tolist()),
            factor=tuple(tuple(row) for row in factor.tolist()),
            farthest=max(float(_distances(factor, standard).max()), 1.0),
            low=tuple((own.min(axis=0) - floor).tolist()),
            high=tuple((own.max(axis=0) + floor).tolist()),
            known=(),
        )
        scores = unranked.scores([Statistic(one.of, one.what, one.values[ranked]) for one in found])
        return unranked.model_copy(update={"known": tuple(np.sort(scores).tolist())})

    def scores(self, found: Sequence[Statistic]) -> np.ndarray:
        """Return the scores of inputs, ``(n,)``: the larger, the less they are like the known ones.

        That is the Mahalanobis distance of the statistics over the largest of the inputs that fit it, or the distance
        of a number per sample from the middle of its range in half ranges, whichever is larger: beyond the hard end of
        a law an input is new however near the end is.
        """
        values = np.stack([one.values for one in found], axis=1)
        standard = (values - np.array(self.location)) / np.array(self.scale)
        scores = _distances(np.array(self.factor), standard) / self.farthest
        for j, one in enumerate(found):
            if one.what == "value":
                middle, half = (self.low[j] + self.high[j]) / 2, (self.high[j] - self.low[j]) / 2
                scores = np.maximum(scores, np.abs(values[:, j] - middle) / half)
        rounded: np.ndarray = np.round(np.maximum(scores, _LEAST), _DIGITS)
        return rounded

    def p(self, scores: np.ndarray) -> np.ndarray:
        """Return ``(1 + number of known scores that are at least as large)/(1 + number of known scores)``."""
        known = np.array(self.known)
        larger = len(known) - np.searchsorted(known, scores, side="left")
        found: np.ndarray = (1 + larger) / (1 + len(known))
        return found

    @property
    def edge(self) -> float:
        """The score above which an input is outside: p < 1/`ONE_IN` there and nowhere else. 1 without a known score."""
        count = len(self.known)
        # So many known scores may be as large as that of an input which is outside.
        allowed = max(count // ONE_IN - 1, 0)
        return self.known[count - 1 - allowed] if count else 1.0

    def reasons(self, found: Sequence[Statistic]) -> tuple[str, ...]:
        """Return for every input the statistic that tells most, in words.

        That is the one furthest beyond what the known inputs have; where none is, the one that goes least with the
        other statistics of the input, beside what these let expect.
        """
        location, scale, low, high = (np.array(one) for one in (self.location, self.scale, self.low, self.high))
        values = np.stack([one.values for one in found], axis=1)
        standard = (values - location) / scale
        beyond = np.where((values < low) | (values > high), np.abs(standard), 0.0)
        precision = np.linalg.inv(np.array(self.factor) @ np.array(self.factor).T)
        own = np.diag(precision)
        # Of a Gaussian vector: what one entry is off its mean given the others.
        off = standard @ precision / own
        words = []
        for i, row in enumerate(values):
            if beyond[i].any():
                j = int(beyond[i].argmax())
                words.append(worded(found[j].name, float(row[j]), low[j], high[j], found[j].logarithm))
                continue
            j = int((np.abs(off[i]) * np.sqrt(own)).argmax())
            middle, room = row[j] - scale[j] * off[i, j], _ROOM * scale[j] / np.sqrt(own[j])
            text = worded(found[j].name, float(row[j]), middle - room, middle + room, found[j].logarithm)
            words.append(f"{text} beside its other statistics")
        return tuple(words)


class Ranks(Novelty):
    """A conformal p-value of every input, by its rank among the inputs of a version of a dataset.

    Of every input, after its transform: level (mean), spread (standard deviation), lowest and highest value, roughness
    (root mean square of the gradient over the unit box, over the spread) and fineness (the same of the third
    differences, over that of the gradient); of an input that is one number per sample, its value. One score combines
    them (`Ranking.scores`), larger for what is less like the known inputs. A random third of the known inputs fits the
    score, the other two thirds are ranked, and p = (1 + number of these whose score is at least as large)/(1 + their
    number). Neither those that are ranked nor a new input of the same law had a part in the fit, so that all their
    scores are exchangeable: the p-value of the new one is below 1 % with a probability of at most 1 %, whatever the law
    and the score. That is a mean over datasets; of one dataset the share is a draw from a Beta distribution about it.
    No label and no error of a model is looked at, so inputs that a model was trained on may be known ones. On another
    grid than that of the known inputs the statistics of differences, which depend on it, are left out.

    A large p-value is no promise: inputs may differ in what none of these numbers sees.

    Source: S. Bates, E. Candès, L. Lei, Y. Romano, M. Sesia, "Testing for outliers with conformal p-values", Ann.
    Statist. 51 (2023).
    """

    sources: ClassVar[tuple[Source, ...]] = (
        Source(
            "Bates et al.",
            "Testing for outliers with conformal p-values",
            2023,
            "Ann. Statist. 51",
            "p-values are valid for inliers whatever their law and the score",
            "novelty.txt",
        ),
    )

    kind: Literal["conformal"] = "conformal"
    own_grid: Ranking
    """Of all statistics."""
    any_grid: Ranking
    """Of those that do not depend on the grid."""

    @classmethod
    def fit(cls, inputs: Mapping[str, np.ndarray], logs: tuple[str, ...], dimensions: Dimensions) -> Ranks:
        """Fit the score to a third of the known inputs, and rank the others.

        Parameters
        ----------
        inputs
            ``(n, *dims)`` for every input, in physical units; n ≥ 1, in an order that does not depend on their values
            or in any other: the third is drawn at random.
        logs
            Inputs whose logarithm is the natural scale.
        dimensions
            Of all variables.
        """
        count = len(next(iter(inputs.values())))
        order = np.random.default_rng(0).permutation(count)
        fitted, ranked = np.split(order, [max(1, count // _FITTED)])
        some = {name: values[fitted] for name, values in inputs.items()}
        units = {name: float(natural(name, some, logs).std()) or 1.0 for name in dimensions.inputs}
        found = list(statistics(inputs, logs, units, dimensions))
        return cls(
            logs=logs,
            units=units,
            dimensions=dimensions,
            own_grid=Ranking.fit(found, fitted, ranked),
            any_grid=Ranking.fit(_of_any_grid(found), fitted, ranked),
        )

    def judge(self, inputs: Mapping[str, np.ndarray]) -> Judged:
        """Rank inputs among the known ones; see `Novelty.judge`."""
        found = list(statistics(inputs, self.logs, self.units, self.dimensions))
        ranking = self.own_grid
        if self.dimensions.grid(inputs) != self.dimensions.shape:
            found, ranking = _of_any_grid(found), self.any_grid
        scores = ranking.scores(found)
        least = 1 / (1 + len(ranking.known))
        unsure = (
            f"too few inputs to tell, among {len(ranking.known)} known ones no p-value is below {least:.2g}"
            if len(ranking.known) < ONE_IN
            else ""
        )
        rule = f"conformal p < {1 / ONE_IN:g}, as at most {100 / ONE_IN:g} % of its own inputs are"
        return Judged(scores / ranking.edge, ranking.p(scores), ranking.reasons(found), rule, unsure)


def _of_any_grid(found: Sequence[Statistic]) -> list[Statistic]:
    return [one for one in found if one.what not in OF_DIFFERENCES]


def _distances(factor: np.ndarray, standard: np.ndarray) -> np.ndarray:
    """Return the Mahalanobis distances of rows, by the Cholesky factor of their correlations."""
    whitened: np.ndarray = np.linalg.solve(factor, standard.T)
    found: np.ndarray = np.linalg.norm(whitened, axis=0)
    return found
