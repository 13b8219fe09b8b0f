"""Shares of points and of samples, with intervals of 95 %."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import scipy

CONFIDENCE = 0.95
"""Of an interval by itself."""


class Interval(NamedTuple):
    """The ends of an interval."""

    low: float
    high: float


def clustered(shares: np.ndarray, together: int = 1) -> Interval:
    """Return the interval of the mean of shares, one per sample: the points of a field are one observation.

    By Student's distribution of the samples' shares, held within 0 and 1. Where all of them are 0 or all are 1 it is
    the exact interval of so many samples, `binomial`: that few do not differ is no certainty.

    Parameters
    ----------
    shares
        ``(n,)``, n ≥ 1, of the points of each sample.
    together
        Of so many intervals all are to hold at once with 95 %, whatever the dependence between them (Bonferroni).

    Examples
    --------
    >>> [round(float(end), 3) for end in clustered(np.array([0.8, 0.9, 1.0]))]
    [0.652, 1.0]
    >>> [round(float(end), 3) for end in clustered(np.array([0.8, 0.9, 1.0]), together=2)]
    [0.542, 1.0]
    """
    if len(shares) < 2:
        return Interval(0.0, 1.0)
    missed = (1 - CONFIDENCE) / together
    reach = float(scipy.stats.t.ppf(1 - missed / 2, len(shares) - 1)) * _deviation(shares)
    mean = float(shares.mean())
    if mean in (0.0, 1.0):
        return binomial(round(mean) * len(shares), len(shares), together)
    return Interval(max(0.0, mean - reach), min(1.0, mean + reach))


def effective(shares: np.ndarray) -> float | None:
    """Return how many independent points would tell as much of the mean share; None where samples do not differ."""
    deviation = _deviation(shares) if len(shares) > 1 else 0.0
    mean = float(shares.mean())
    return mean * (1 - mean) / deviation**2 if deviation else None


def binomial(inside: int, of: int, together: int = 1) -> Interval:
    """Return the exact interval of a share of samples; ``together`` as in `clustered`.

    Source: C. J. Clopper, E. S. Pearson, "The use of confidence or fiducial limits", Biometrika 26 (1934).

    Examples
    --------
    >>> [round(end, 3) for end in binomial(138, 153)]
    [0.843, 0.944]
    """
    found = scipy.stats.binomtest(inside, of).proportion_ci(1 - (1 - CONFIDENCE) / together, method="exact")
    return Interval(float(found.low), float(found.high))


def detectable(level: float, of: int) -> float | None:
    """Return the smallest drop below a level that so many samples show: the interval of the share ends below the level.

    None where no share of so few samples does.

    Examples
    --------
    >>> round(detectable(0.9, 153), 3)
    0.057
    """
    for inside in range(int(level * of), -1, -1):
        if binomial(inside, of).high < level:
            return level - inside / of
    return None


def difference(one: np.ndarray, other: np.ndarray) -> tuple[float, float, float]:
    """Return the difference of two mean shares, of unlike samples, with the ends of its interval; by Welch's test.

    Parameters
    ----------
    one, other
        ``(n,)`` and ``(m,)``, n, m ≥ 2.

    Returns
    -------
    difference, low, high
        ``mean(one) − mean(other)``.

    References
    ----------
    B. L. Welch, "The generalization of Student's problem when several different population variances are involved",
    Biometrika 34 (1947).
    """
    found = float(one.mean() - other.mean())
    if not one.std() and not other.std():
        return found, found, found
    low, high = scipy.stats.ttest_ind(one, other, equal_var=False).confidence_interval(CONFIDENCE)
    return found, float(low), float(high)


def binomial_difference(one: tuple[int, int], other: tuple[int, int]) -> tuple[float, float, float]:
    """Return the difference of two shares of samples, of unlike samples, with the ends of its interval.

    By the score intervals of both, so that shares of 0 and 1 of a few samples are not taken for certain.

    Parameters
    ----------
    one, other
        How many samples are inside, and all of them, 1 at least.

    Returns
    -------
    difference, low, high
        The share of one less that of the other.

    References
    ----------
    R. G. Newcombe, "Interval estimation for the difference between independent proportions: comparison of eleven
    methods", Stat. Med. 17 (1998), method 10.

    Examples
    --------
    Its table II has 0.0524 to 0.3339 for 56 of 70 less 48 of 80:

    >>> [round(found, 4) for found in binomial_difference((56, 70), (48, 80))]
    [0.2, 0.0524, 0.3339]
    """
    (p, low, high), (q, below, above) = (
        (inside / of, *scipy.stats.binomtest(inside, of).proportion_ci(CONFIDENCE, method="wilson"))
        for inside, of in (one, other)
    )
    down, up = float(np.hypot(p - low, above - q)), float(np.hypot(high - p, q - below))
    return p - q, p - q - down, p - q + up


def promised(level: float, samples: int) -> Interval:
    """Return between what the expected coverage lies after a calibration on so many samples, for continuous scores."""
    return Interval(level, min(1.0, level + 1 / (samples + 1)))


def _deviation(shares: np.ndarray) -> float:
    """Return the standard error of the mean."""
    return float(shares.std(ddof=1)) / float(np.sqrt(len(shares)))
