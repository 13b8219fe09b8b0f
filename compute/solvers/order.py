from __future__ import annotations

import numpy as np


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
    points = np.ascontiguousarray(features, dtype=np.float64)
    if points.ndim != 2:
        raise ValueError(f"features has shape {np.shape(features)}, expected (N, d)")
    if not np.isfinite(points).all():
        raise ValueError("features holds NaN or infinity, expected finite numbers")
    size = len(points)
    path = np.empty(size, dtype=np.int64)
    if size == 0:
        return path
    points = points - points.mean(axis=0)
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
