"""The factors of bands, from the scores of calibration samples: error over width."""

from __future__ import annotations

import math

import numpy as np

from ritz.compute.uncertainty.conformal.scores import Scores


def risk_control(scores: Scores, level: float, weights: np.ndarray | None = None) -> float:
    """Return the smallest factor whose share of scores above it is controlled at ``1 − level``.

    Parameters
    ----------
    scores
        Error over width at every point of ``n`` samples.
    level
        Nominal coverage.
    weights
        ``(n,)`` in [0, 1], how much each sample says of a new one, of which the weight is 1; all 1 by default.

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
    weights = np.ones(len(scores.values)) if weights is None else weights
    allowed = scores.points * ((weights.sum() + 1) * (1 - level) - 1)
    # (n+1)(1−level) may fall just under the whole number it is.
    if allowed < -1e-6:
        return math.inf
    values = scores.values.ravel()
    order = np.argsort(values)
    mass = np.multiply.outer(weights, scores.counts).ravel()[order]
    above = mass.sum() - np.cumsum(mass)
    # Rounding may leave a little above the last.
    return float(values[order[min(int(np.argmax(above <= allowed + 1e-6)), len(order) - 1)]])


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
