"""The points along one dimension: the same, or another grid of the same box."""

from __future__ import annotations

import numpy as np

_CLOSE = 1e-6
"""Of the length of the box; coordinates may be rounded to float32."""

_EVEN = 1e-2
"""Of a step, by which steps may differ: rounded to float32, neighbours on a fine grid do by a thousandth."""


def same_points(these: np.ndarray, those: np.ndarray) -> bool:
    """Return whether points are the same but for rounding; ``(n,)`` each."""
    return these.shape == those.shape and bool(np.allclose(these, those, rtol=0, atol=_CLOSE * (np.ptp(those) or 1.0)))


def same_box(these: np.ndarray, those: np.ndarray) -> bool:
    """Return whether two even grids, each of two points or more, may be of the same box.

    A grid is that of a box in one of three ways, and both in the same: its points are the centres of cells, nodes with
    both ends, or nodes between the ends.

    Examples
    --------
    >>> same_box((np.arange(8) + 0.5) / 8, (np.arange(16) + 0.5) / 16)
    True
    >>> same_box(np.linspace(0, 1, 8), (np.arange(16) + 0.5) / 16)
    False
    """
    if not (_is_even(these) and _is_even(those)):
        return False
    close = 1e-4 * abs(those[-1] - those[0])
    return any(
        np.allclose(one, other, rtol=0, atol=close) for one, other in zip(_boxes(these), _boxes(those), strict=True)
    )


def _is_even(points: np.ndarray) -> bool:
    steps = np.diff(points.astype(np.float64))
    return len(steps) > 0 and steps[0] != 0 and bool(np.allclose(steps, steps.mean(), rtol=_EVEN, atol=0))


def _boxes(points: np.ndarray) -> list[tuple[float, float]]:
    first, last = float(points[0]), float(points[-1])
    step = (last - first) / (len(points) - 1)
    return [(first - k * step, last + k * step) for k in (0.5, 0.0, 1.0)]
