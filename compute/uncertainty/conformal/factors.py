"""The factors of bands, from the scores of calibration samples: error over width."""

from __future__ import annotations

import math

import numpy as np


def risk_control(scores: np.ndarray, level: float) -> float:
    """Return the smallest factor whose share of scores above it is controlled at ``1 − level``.

    Parameters
    ----------
    scores
        ``(n, *dims)`` error over width at every point; finite.
    level
        Nominal coverage.

    Returns
    -------
    factor
        Smallest λ with ``n/(n+1) · mean(scores > λ) + 1/(n+1) ≤ 1 − level``; infinite if no λ does.

    References
    ----------
    Angelopoulos et al., "Conformal risk control", 2022 (arXiv:2208.02814), theorem 1.

    Examples
    --------
    With one point a sample it is the usual conformal quantile, here the 18th of 19 scores:

    >>> risk_control(np.arange(1.0, 20.0)[:, None], 0.9)
    18.0
    """
    n, points = len(scores), scores[0].size
    allowed = points * ((n + 1) * (1 - level) - 1)
    # (n+1)(1−level) may fall just under the whole number it is.
    above = int(np.floor(allowed + 1e-6))
    if above < 0:
        return float("inf")
    return float(np.partition(scores, scores.size - 1 - above, axis=None)[scores.size - 1 - above])


def conformal_quantile(scores: np.ndarray, level: float) -> float:
    """Return the factor whose bands hold whole fields: the ⌈(n+1) level⌉-th smallest score, infinite if there is none.

    Parameters
    ----------
    scores
        ``(n,)`` the largest score of every sample.
    level
        Probability with which all points of a new sample are inside.

    References
    ----------
    V. Vovk, A. Gammerman, G. Shafer, "Algorithmic Learning in a Random World", Springer, 2005.

    Examples
    --------
    >>> conformal_quantile(np.arange(1.0, 20.0), 0.9)
    18.0
    """
    rank = math.ceil((len(scores) + 1) * level - 1e-9)
    return float(np.sort(scores)[rank - 1]) if rank <= len(scores) else math.inf
