"""The scores of distributions, for surrogates that draw their answers."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from typing import ClassVar, Literal, final

import numpy as np

from ritz.compute.evaluation.distribution import crps, energy, ranks
from ritz.compute.evaluation.metric import Found, Subject, SubjectMetric, averaged
from ritz.compute.kind import Source

PROPER = Source(
    "Gneiting and Raftery",
    "Strictly proper scoring rules, prediction, and estimation",
    2007,
    "Journal of the American Statistical Association 102",
)
FAIR = Source(
    "Ferro", "Fair scores for ensemble forecasts", 2014, "Quarterly Journal of the Royal Meteorological Society 140"
)


class _OfDraws(SubjectMetric):
    def unfit_for(self, subject: Subject) -> str:
        """Refuse predictions without draws."""
        counts = {0} if subject.draws is None else {len(values) for values in subject.draws.values()}
        return "the surrogate gives no draws" if min(counts) < 2 else ""


class _Score(_OfDraws):
    """A score in deviations of the output over the training samples, so that it has no unit.

    The parts are ``draws``, that of the distribution, and two to read it by: ``prediction``, that of the prediction
    taken as certain, and ``climatology``, that of draws from the training samples whatever the input.
    """

    by_sample: ClassVar[bool] = False

    def unfit_for(self, subject: Subject) -> str:
        """Refuse predictions without draws, and too few training samples or such that are all alike."""
        if reason := super().unfit_for(subject):
            return reason
        known: Mapping[str, np.ndarray] = subject.climatology or {}
        if any(name not in known or len(known[name]) < 2 for name in subject.truth):
            return "it needs two training samples or more"
        flat = [name for name in subject.truth if not np.ptp(known[name])]
        return f"{flat[0]!r} is one number in all training samples" if flat else ""

    @abstractmethod
    def scored(self, draws: np.ndarray, truth: np.ndarray) -> np.ndarray:
        """Return the score ``(n,)`` of draws ``(m, n, *dims)``, m ≥ 2, in the unit of the output."""

    @abstractmethod
    def certain(self, prediction: np.ndarray, truth: np.ndarray) -> np.ndarray:
        """Return the score ``(n,)`` of a prediction ``(n, *dims)`` without a distribution."""

    @final
    def of(self, subject: Subject) -> Found:
        """Measure the samples; see `SubjectMetric.of`."""
        assert subject.draws is not None
        assert subject.climatology is not None
        found = []
        for name, truth in subject.truth.items():
            known = subject.climatology[name]
            repeated = np.broadcast_to(known[:, None], (len(known), *truth.shape))
            parts = {
                "draws": self.scored(subject.draws[name], truth),
                "prediction": self.certain(subject.prediction[name], truth),
                "climatology": self.scored(repeated, truth),
            }
            unit = float(known.std(dtype=np.float64))
            found.append({part: values / unit for part, values in parts.items()})
        return averaged(found)


class CRPS(_Score):
    """The continuous ranked probability score: the error of a distribution, point by point.

    In deviations of the output over the training samples. ``prediction`` is the mean absolute error of the prediction:
    where ``draws`` is not below it, the distribution tells nothing.
    """

    sources: ClassVar[tuple[Source, ...]] = (PROPER, FAIR)

    kind: Literal["crps"] = "crps"
    title: ClassVar[str] = "CRPS, in deviations"

    def scored(self, draws: np.ndarray, truth: np.ndarray) -> np.ndarray:
        """Return the score of draws; see `ritz.compute.evaluation.distribution.crps`."""
        return crps(draws, truth)

    def certain(self, prediction: np.ndarray, truth: np.ndarray) -> np.ndarray:
        """Return the mean absolute error."""
        error = np.abs(prediction.astype(np.float64) - truth)
        means: np.ndarray = error.reshape(len(error), -1).mean(axis=1)
        return means


class EnergyScore(_Score):
    """The energy score: the error of a distribution of whole fields, in tiles of 4096 points.

    In deviations of the output over the training samples. ``prediction`` is the root mean square error.
    """

    sources: ClassVar[tuple[Source, ...]] = (PROPER, FAIR)

    kind: Literal["energy"] = "energy"
    title: ClassVar[str] = "energy score, in deviations"

    def scored(self, draws: np.ndarray, truth: np.ndarray) -> np.ndarray:
        """Return the score of draws; see `ritz.compute.evaluation.distribution.energy`."""
        return energy(draws, truth)

    def certain(self, prediction: np.ndarray, truth: np.ndarray) -> np.ndarray:
        """Return the score of draws that are all alike: the root mean square error, in the same tiles."""
        return energy(np.broadcast_to(prediction, (2, *prediction.shape)), truth)


class RankHistogram(_OfDraws):
    """The share of points whose truth has a low or a high rank among the draws; even shares are best.

    The parts are the bins, ``1_of_10`` the lowest; fewer where there are fewer draws. High at both ends: draws vary too
    little; high in the middle: too much; high at one end: they are biased.
    """

    sources: ClassVar[tuple[Source, ...]] = (
        Source(
            "Hamill",
            "Interpretation of rank histograms for verifying ensemble forecasts",
            2001,
            "Monthly Weather Review 129",
        ),
    )

    kind: Literal["ranks"] = "ranks"
    title: ClassVar[str] = "share of points by rank of the truth"

    def of(self, subject: Subject) -> Found:
        """Measure the samples; see `SubjectMetric.of`."""
        assert subject.draws is not None
        found = []
        for name, truth in subject.truth.items():
            shares = ranks(subject.draws[name], truth)
            bins = shares.shape[1]
            found.append({f"{at + 1}_of_{bins}": shares[:, at] for at in range(bins)})
        return averaged(found)
