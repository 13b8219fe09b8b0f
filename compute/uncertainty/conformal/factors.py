"""The factors of bands, from the scores of calibration samples: error over width."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Self

import numpy as np

from ritz.compute.uncertainty.conformal.scores import Scores


@dataclass(frozen=True)
class Ordered:
    """All scores of some samples in rising order, for factors at several levels and weights.

    Attributes
    ----------
    values, rows, counts
        ``(k,)``: a score, of which sample, and for how many points it stands.
    points
        How many each sample has.
    """

    values: np.ndarray
    rows: np.ndarray
    counts: np.ndarray
    points: int

    @classmethod
    def of(cls, scores: Scores) -> Self:
        """Sort."""
        kept = scores.values.shape[1]
        order = np.argsort(scores.values, axis=None)
        return cls(scores.values.ravel()[order], order // kept, scores.counts[order % kept], scores.points)

    def factor(self, level: float, weights: np.ndarray) -> float:
        """Return the factor of `risk_control`."""
        allowed = self.points * ((weights.sum() + 1) * (1 - level) - 1)
        # (n+1)(1−level) may fall just under the whole number it is.
        if allowed < -1e-6:
            return math.inf
        mass = weights[self.rows] * self.counts
        above = mass.sum() - np.cumsum(mass)
        return float(self.values[int(np.argmax(above <= allowed + 1e-6))])


def risk_control(scores: Scores, level: float, weights: np.ndarray | None = None) -> float:
    """Return the smallest factor whose share of scores above it is controlled at ``1 − level``.

    Parameters
    ----------
    scores
        Error over width at every point of ``n`` samples.
    level
        Nominal coverage.
    weights
        ``(n,)`` not negative, how much each sample says of a new one, of which the weight is 1; all 1 by default.

    Returns
    -------
    factor
        Smallest λ with ``Σ wᵢ Rᵢ(λ) + 1 ≤ (1 − level) (Σ wᵢ + 1)``, where ``Rᵢ(λ)`` is the share of the points of
        sample i above λ; infinite if no λ has it.

    References
    ----------
    Angelopoulos et al., "Conformal risk control", 2022 (arXiv:2208.02814), theorem 1; with weights: Farinhas et al.,
    "Non-exchangeable conformal risk control", 2023 (arXiv:2310.01262).

    Examples
    --------
    With one point a sample it is the usual conformal quantile, here the 18th of 19 scores:

    >>> risk_control(Scores.of(np.arange(1.0, 20.0)[:, None]), 0.9)
    18.0
    """
    return Ordered.of(scores).factor(level, np.ones(len(scores.values)) if weights is None else weights)


def conformal_quantile(scores: np.ndarray, level: float, weights: np.ndarray | None = None) -> float:
    """Return the factor whose bands hold whole fields, infinite if there is none.

    Without weights it is the ⌈(n+1) level⌉-th smallest score.

    Parameters
    ----------
    scores
        ``(n,)`` the largest score of every sample.
    level
        Probability with which all points of a new sample are inside.
    weights
        As in `risk_control`.

    References
    ----------
    V. Vovk, A. Gammerman, G. Shafer, "Algorithmic Learning in a Random World", Springer, 2005; with weights: R. F.
    Barber et al., "Conformal prediction beyond exchangeability", Ann. Statist. 51 (2023).

    Examples
    --------
    >>> conformal_quantile(np.arange(1.0, 20.0), 0.9)
    18.0
    """
    weights = np.ones(len(scores)) if weights is None else weights
    order = np.argsort(scores, kind="stable")
    reached = np.cumsum(weights[order]) >= level * (weights.sum() + 1) - 1e-9
    return float(scores[order[np.argmax(reached)]]) if reached.any() else math.inf
