from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Gain:
    """By how much one method's error lies below another's, over pairs that share all else.

    Attributes
    ----------
    mean
        1 − exp(mean of the log-ratios): the share of the other's error that is saved; negative where it is worse.
    low, high
        Ends of the interval for ``mean``.
    level
        Its confidence.
    won
        Pairs in which the error is smaller.
    log_ratios
        ln(error / other's error) of each pair.
    """

    mean: float
    low: float
    high: float
    level: float
    won: int
    log_ratios: tuple[float, ...]

    @property
    def verdict(self) -> str:
        """``"better"`` or ``"worse"`` where the interval leaves no doubt of the sign, else ``"undecided"``."""
        return "better" if self.low > 0 else "worse" if self.high < 0 else "undecided"


def gain(errors: Sequence[float] | np.ndarray, others: Sequence[float] | np.ndarray, level: float = 0.95) -> Gain:
    """Return by how much ``errors`` lie below ``others``, pair by pair, with Student's interval.

    The logarithms of the ratios are taken as normal, so the interval is that of their mean, d̄ ± t·s/√n, carried over
    by 1 − exp(·). Pairs take away what both methods share, here the first weights and the samples of a seed.

    Parameters
    ----------
    errors, others
        ``(n,)`` positive errors of both methods, at least two pairs.
    level
        Confidence of the interval, between 0 and 1.

    Raises
    ------
    ValueError
        If there are not two pairs or more, or an error is not positive and finite.

    Examples
    --------
    >>> found = gain([0.5, 0.4], [1.0, 1.0])
    >>> round(found.mean, 4), found.won, found.verdict
    (0.5528, 2, 'undecided')
    """
    ours, theirs = np.asarray(errors, np.float64), np.asarray(others, np.float64)
    if ours.shape != theirs.shape or ours.ndim != 1 or len(ours) < 2:
        raise ValueError(f"got errors of the shapes {ours.shape} and {theirs.shape}, expected two pairs or more")
    for values in (ours, theirs):
        if not np.all(np.isfinite(values) & (values > 0)):
            raise ValueError(f"got the errors {values.tolist()}, expected all of them positive and finite")
    if not 0 < level < 1:
        raise ValueError(f"level is {level}, expected between 0 and 1")
    ratios = np.log(ours / theirs)
    middle, lower, upper = mean_with_ends(ratios, level)
    ends = (1 - np.exp(one) for one in (middle, upper, lower))
    mean, low, high = (float(end) for end in ends)
    return Gain(mean, low, high, level, int(np.sum(ratios < 0)), tuple(ratios.tolist()))


def mean_with_ends(values: np.ndarray, level: float = 0.95) -> tuple[float, float, float]:
    """Return the mean of values and both ends of Student's interval for it, mean ± t·s/√n.

    Parameters
    ----------
    values
        ``(n,)``, at least two.
    level
        Confidence of the interval, between 0 and 1.

    Raises
    ------
    ValueError
        If there are not two values or more.

    Examples
    --------
    >>> [round(one, 4) for one in mean_with_ends(np.array([1.0, 2.0, 3.0]))]
    [2.0, -0.4841, 4.4841]
    """
    from scipy.stats import t

    if len(values) < 2:
        raise ValueError(f"got {len(values)} values, expected two or more for an interval")
    middle = float(values.mean())
    half = float(t.ppf(0.5 + level / 2, len(values) - 1) * values.std(ddof=1) / np.sqrt(len(values)))
    return middle, middle - half, middle + half
