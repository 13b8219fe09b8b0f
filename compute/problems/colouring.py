"""Which points of a grid can be moved at once, so that no equation of nearest neighbours sees two of them."""

from __future__ import annotations

from functools import lru_cache
from itertools import product

import numpy as np

_MOST = 16
"""Colours up to which a number is looked for with which they meet along all rings."""


@lru_cache(maxsize=32)
def colours(shape: tuple[int, ...], rings: tuple[bool, ...]) -> np.ndarray:
    """Colour the points of a grid so that a point and its neighbours along the axes all have different colours.

    2 d + 1 of them in d dimensions, by (i + 2 j + 3 k) modulo their number. Along a ring the colours have to meet where
    it closes: the next number with which they do, or, where that is large, three or four along each axis and all pairs
    of them.

    Parameters
    ----------
    shape
        Points along each axis, at least 3 along a ring.
    rings
        Whether the first and the last point along an axis are neighbours.

    Returns
    -------
    numpy.ndarray
        ``(*shape)`` int64, from 0.

    Examples
    --------
    >>> colours((6,), (True,))
    array([0, 1, 2, 0, 1, 2])
    >>> colours((8,), (True,))
    array([0, 1, 2, 3, 0, 1, 2, 3])
    >>> colours((7,), (True,))
    array([0, 1, 2, 0, 1, 2, 3])
    """
    places = np.indices(shape)
    along = [_along(points, ring) for points, ring in zip(shape, rings, strict=True)]
    most = int(np.prod([line.max() + 1 for line in along]))
    for count in range(2 * len(shape) + 1, min(most, _MOST + 1)):
        for steps in product(range(1, count), repeat=len(shape)):
            around = {0, *steps, *(count - step for step in steps)}
            closed = not any(np.array(steps)[np.array(rings)] * np.array(shape)[np.array(rings)] % count)
            if len(around) == 2 * len(shape) + 1 and closed:
                found: np.ndarray = np.tensordot(steps, places, 1) % count
                return found
    return np.ravel_multi_index(np.ix_(*along), [line.max() + 1 for line in along]).reshape(shape)


def _along(points: int, ring: bool) -> np.ndarray:
    """Return colours along one axis, of which any three that follow each other differ."""
    if not ring or points % 3 == 0:
        return np.arange(points) % 3
    # 0 1 2 0 1 2 … 0 1 2 3 0 1 2 3: as many fours as it takes to come to a multiple of three.
    fours = points % 3
    if points < 4 * fours:
        return np.arange(points)
    return np.concatenate([np.arange(points - 4 * fours) % 3, np.arange(4 * fours) % 4])
