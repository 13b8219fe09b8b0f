"""What a surrogate costs, and from how many queries on it has paid for itself."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from typing import Any


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


def timed(predict: Callable[[], Any], *, repeats: int = 15, limit: float = 3.0) -> dict[str, float]:
    """Measure a call: after one that does not count, ``least`` and ``median`` seconds of some ``calls``.

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
    return {"least": ordered[0], "median": ordered[len(ordered) // 2], "calls": len(seconds)}
