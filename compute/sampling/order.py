from __future__ import annotations

import numpy as np

GREEDY_LIMIT = 10_000
"""Largest number of samples that `order` hands to `greedy`, which takes about half a second for so many."""

_BITS = 62
"""Bits of a position on the Hilbert curve, in an int64."""


def order(features: np.ndarray) -> np.ndarray:
    """Order samples so that neighbours are alike: `greedy` up to `GREEDY_LIMIT` samples, `hilbert` beyond.

    Parameters
    ----------
    features
        ``(N, d)`` finite real numbers.

    Returns
    -------
    permutation
        ``(N,)`` int64: ``features[permutation]`` is in order.

    Raises
    ------
    ValueError
        If ``features`` has another number of axes or is not finite.
    """
    return greedy(features) if len(features) <= GREEDY_LIMIT else hilbert(features)


def greedy(features: np.ndarray) -> np.ndarray:
    """Order samples so that neighbours are alike: always go to the nearest sample not yet visited.

    Starts at the sample farthest from the mean, so that the path begins at an end of the cloud. Ties go to the
    lowest index: the same features always give the same order. Takes O(N² d) time and O(N d) memory.

    Parameters
    ----------
    features
        ``(N, d)`` finite real numbers; samples are compared by Euclidean distance.

    Returns
    -------
    permutation
        ``(N,)`` int64: ``features[permutation]`` is in order.

    Raises
    ------
    ValueError
        If ``features`` has another number of axes or is not finite.

    Notes
    -----
    Wang et al., "Accelerating data generation for neural operators via Krylov subspace recycling", ICLR 2024,
    Algorithm 1, sort by distances between parameter matrices in the same way.

    Examples
    --------
    >>> import numpy as np
    >>> greedy(np.array([[0.0], [5.0], [1.0], [2.5]]))
    array([1, 3, 2, 0])
    """
    points = _centred(features)
    size = len(points)
    path = np.empty(size, dtype=np.int64)
    if size == 0:
        return path
    left = np.arange(size)
    norms = np.einsum("ij,ij->i", points, points)
    at, visited = int(np.argmax(norms)), 0
    for step in range(size):
        path[step] = left[at]
        here, norms[at] = points[at], np.inf
        visited += 1
        # Dropping visited points halves the work; what is left keeps its order, for the ties.
        if 2 * visited > len(norms):
            keep = np.isfinite(norms)
            points, norms, left, visited = points[keep], norms[keep], left[keep], 0
        if step + 1 < size:
            at = int(np.argmin(norms - 2 * (points @ here)))
    return path


def hilbert(features: np.ndarray, components: int = 6) -> np.ndarray:
    """Order samples so that neighbours are alike: along a Hilbert curve through their leading principal components.

    Takes O(N log N + N d²) time. Neighbours are farther apart than on the path of `greedy`, the more so the more
    components matter. Ties go to the lowest index: the same features always give the same order.

    Parameters
    ----------
    features
        ``(N, d)`` finite real numbers; samples are compared by Euclidean distance.
    components
        Largest number of principal components the curve runs through; those along which samples spread less than
        a tenth as far as along the first are left out.

    Returns
    -------
    permutation
        ``(N,)`` int64: ``features[permutation]`` is in order.

    Raises
    ------
    ValueError
        If ``features`` has another number of axes or is not finite, or ``components`` is not in 1 … 31.

    Notes
    -----
    Source of the curve: J. Skilling, "Programming the Hilbert curve", AIP Conf. Proc. 707 (2004).

    Examples
    --------
    >>> import numpy as np
    >>> hilbert(np.array([[0.0], [5.0], [1.0], [2.5]]))
    array([0, 2, 3, 1])
    """
    if not 1 <= components <= _BITS // 2:
        raise ValueError(f"components is {components}, expected 1 to {_BITS // 2}")
    points = _centred(features)
    if 0 in points.shape:
        return np.arange(len(points))
    components = min(components, points.shape[1])
    axes = np.linalg.eigh(points.T @ points)[1][:, : -components - 1 : -1]
    # An eigenvector has no sign of its own.
    axes = axes * np.sign(axes[np.argmax(np.abs(axes), axis=0), np.arange(components)])
    places = points @ axes
    places -= places.min(axis=0)
    # The curve goes back and forth along an edge of the cube: an axis on which little happens does harm.
    places = places[:, places.max(axis=0) > 0.1 * places.max()]
    if not places.size:
        return np.arange(len(points))
    # 31 bits an axis are plenty, and few enough for the largest cell to be exact in float64.
    bits = min(_BITS // places.shape[1], 31)
    cells = (places * ((2.0**bits - 1) / places.max())).astype(np.int64)
    return np.argsort(_distances(cells, bits), kind="stable")


def _distances(cells: np.ndarray, bits: int) -> np.ndarray:
    """Return how far along a Hilbert curve cells of a cube lie; ``cells`` is ``(N, d)`` with entries below 2^bits."""
    x = cells.T.copy()
    # From the coarsest bit on, undo the turns and mirrorings that a cell of that size brings to the finer bits.
    for bit in range(bits - 1, 0, -1):
        finer = (1 << bit) - 1
        for axis in range(len(x)):
            mirrored = (x[axis] >> bit & 1).astype(bool)
            swapped = np.where(mirrored, 0, (x[0] ^ x[axis]) & finer)
            x[0] ^= np.where(mirrored, finer, swapped)
            x[axis] ^= swapped
    # Gray decode.
    for axis in range(1, len(x)):
        x[axis] ^= x[axis - 1]
    turn = np.zeros_like(x[0])
    for bit in range(bits - 1, 0, -1):
        turn ^= np.where(x[-1] >> bit & 1, (1 << bit) - 1, 0)
    x ^= turn
    distance: np.ndarray = np.zeros_like(x[0])
    for bit in range(bits - 1, -1, -1):
        for row in x:
            distance = distance << 1 | (row >> bit & 1)
    return distance


def _centred(features: np.ndarray) -> np.ndarray:
    """Return checked features about their mean, in float64."""
    points = np.ascontiguousarray(features, dtype=np.float64)
    if points.ndim != 2:
        raise ValueError(f"features has shape {np.shape(features)}, expected (N, d)")
    if not np.isfinite(points).all():
        raise ValueError("features holds NaN or infinity, expected finite numbers")
    return points - points.mean(axis=0) if len(points) else points
