"""Ratios of two means, with intervals that hold where the denominator is uncertain too."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import scipy


@dataclass(frozen=True)
class Estimates:
    """Estimates with the ends of their intervals.

    Attributes
    ----------
    value, low, high
        ``(q, d)`` float64: a row per quantity, a column per coordinate.
    """

    value: np.ndarray
    low: np.ndarray
    high: np.ndarray


@dataclass(frozen=True)
class Means:
    """Means of numerators and denominators over independent observations, with their variances.

    Attributes
    ----------
    numerator, denominator
        ``(q, d)`` and ``(q, 1)``.
    variances
        ``(q, d)`` each: the variance of the mean numerator, its covariance with the mean denominator, and ``(q, 1)``
        the variance of the latter.
    count
        How many observations there are.
    """

    numerator: np.ndarray
    denominator: np.ndarray
    variances: tuple[np.ndarray, np.ndarray, np.ndarray]
    count: int

    @classmethod
    def of(cls, numerators: np.ndarray, denominators: np.ndarray) -> Means:
        """Return the means of observations ``(n, q, d)`` and ``(n, q)``, n ≥ 2."""
        below, count = denominators[..., None], len(numerators)
        one, other = numerators - numerators.mean(axis=0), below - below.mean(axis=0)
        scale = count * (count - 1)
        variances = tuple(np.sum(product, axis=0) / scale for product in (one**2, one * other, other**2))
        return cls(numerators.mean(axis=0), below.mean(axis=0), (variances[0], variances[1], variances[2]), count)

    def certain(self) -> Means:
        """Return the means taken as known."""
        square, mixed, other = (np.zeros_like(one) for one in self.variances)
        return Means(self.numerator, self.denominator, (square, mixed, other), self.count)

    def spread(self, ratio: np.ndarray) -> np.ndarray:
        """Return the variance of ``numerator − ratio × denominator``, ``(q, d)``."""
        square, mixed, other = self.variances
        found: np.ndarray = np.maximum(square - 2 * ratio * mixed + ratio**2 * other, 0.0)
        return found


def ratios(parts: Sequence[Means], level: float) -> Estimates:
    """Return the ratio of the sums of mean numerators and mean denominators, for ratios between 0 and 1.

    The interval has all ratios θ for which ``numerator − θ denominator`` is not told from zero (Fieller). Other than
    the mean ± t standard errors of a linearised ratio it holds where the denominator is uncertain as well. The
    variances of independent parts add up; the degrees of freedom of the sum are those of Welch and Satterthwaite.

    Parameters
    ----------
    parts
        Independent of each other.
    level
        Confidence of each interval.

    Returns
    -------
    Estimates
        The ends lie within 0 and 1, the estimates themselves may lie beside. An interval that lies beside altogether is
        a miss, and left as it is. Where the denominator is not told from zero the interval is 0 to 1; the estimate of a
        denominator that is not positive is NaN.

    References
    ----------
    E. C. Fieller, "Some problems in interval estimation", J. R. Stat. Soc. B 16 (1954); B. L. Welch, "The
    generalization of Student's problem when several different population variances are involved", Biometrika 34 (1947).
    """
    above = np.sum([one.numerator for one in parts], axis=0)
    below = np.broadcast_to(np.sum([one.denominator for one in parts], axis=0), above.shape)
    value = np.divide(above, below, out=np.full(above.shape, np.nan), where=below > 0)
    t2 = scipy.stats.t.ppf(0.5 + level / 2, _freedom(parts, np.nan_to_num(value))) ** 2
    square, mixed, other = (
        t2 * np.sum([np.broadcast_to(one.variances[k], above.shape) for one in parts], axis=0) for k in range(3)
    )
    leading = below**2 - other
    known = (leading > 0) & (below > 0)
    middle, last = above * below - mixed, above**2 - square
    root = np.sqrt(np.maximum(middle**2 - leading * last, 0.0))
    low, high = (
        np.divide(middle + sign * root, leading, out=np.full(above.shape, end), where=known)
        for sign, end in ((-1, 0.0), (1, 1.0))
    )
    beside = (high < 0) | (low > 1)
    low, high = (np.where(beside, end, np.clip(end, 0.0, 1.0)) for end in (low, high))
    return Estimates(value, low, high)


def _freedom(parts: Sequence[Means], ratio: np.ndarray) -> np.ndarray:
    """Return the degrees of freedom of the sum of the parts, ``(q, d)``, 1 at least."""
    spreads = [(part.spread(ratio), part.count - 1) for part in parts]
    total = np.sum([one for one, _ in spreads], axis=0)
    squares = np.sum([one**2 / freedom for one, freedom in spreads], axis=0)
    least = min(freedom for _, freedom in spreads)
    return np.asarray(np.divide(total**2, squares, out=np.full(ratio.shape, float(least)), where=squares > 0))
