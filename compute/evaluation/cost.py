"""What a surrogate costs, and from how many queries on it has paid for itself."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import numpy as np

T = TypeVar("T", int, float)


def break_even(spent: float, solver: float, surrogate: float) -> int | None:
    """Return the number of queries N at which ``N · solver = spent + N · surrogate``, rounded up; None for never.

    Parameters
    ----------
    spent
        Seconds that the surrogate has cost before its first query: training data and training.
    solver, surrogate
        Seconds a query, of the fastest solver at matched error and of the surrogate.

    Examples
    --------
    >>> break_even(100.0, 0.3, 0.1), break_even(100.0, 0.1, 0.1)
    (500, None)
    """
    gain = solver - surrogate
    # Written so that what is not a number is no gain.
    if not gain > 0:
        return None
    # The nudge keeps a quotient that is whole but for rounding from the next number.
    return math.ceil(spent / gain * (1 - 1e-12))


def spread(seconds: Sequence[float]) -> float:
    """Return by what factor repeated timings differ: their upper quartile over their lower one.

    Examples
    --------
    >>> spread([1.0, 1.0, 1.1, 2.0, 9.0]), spread([3.0])
    (2.0, 1.0)
    """
    low, high = np.quantile(seconds, (0.25, 0.75))
    return float(high / low) if low > 0 else 1.0


def digits(spread: float) -> int:
    """Return how many digits of a time are worth printing where repeated timings differ by a factor.

    Examples
    --------
    >>> digits(1.02), digits(1.2), digits(2.5)
    (3, 2, 1)
    """
    return 3 if spread <= 1.1 else 2 if spread <= 1.5 else 1


def rounded(value: T, digits: int) -> T:
    """Return a positive number with so many significant digits.

    Examples
    --------
    >>> rounded(92_538, 2), rounded(0.01234, 1)
    (93000, 0.01)
    """
    return round(value, digits - 1 - math.floor(math.log10(value))) if value else value


def timed(predict: Callable[[], Any], *, repeats: int = 15, limit: float = 3.0) -> dict[str, float]:
    """Measure a call: after one that does not count, ``least`` and ``median`` seconds of some ``calls``.

    ``spread`` is by what factor they differ, see `spread`.

    Parameters
    ----------
    repeats, limit
        At most so many calls; none is begun after so many seconds, but there are three at least.
    """
    predict()
    seconds: list[float] = []
    start = time.perf_counter()
    while len(seconds) < repeats and (len(seconds) < 3 or time.perf_counter() - start < limit):
        began = time.perf_counter()
        predict()
        seconds.append(time.perf_counter() - began)
    ordered = sorted(seconds)
    median = ordered[len(ordered) // 2]
    return {"least": ordered[0], "median": median, "calls": len(seconds), "spread": spread(seconds)}
