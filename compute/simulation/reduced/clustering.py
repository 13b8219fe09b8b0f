"""How unlike snapshots are, and clusters of them around some of their own."""

from __future__ import annotations

import numpy as np
import scipy


def sines(snapshots: np.ndarray) -> np.ndarray:
    """Return the sines of the angles between snapshots: unlike is what spans another line, whatever its size and sign.

    Parameters
    ----------
    snapshots
        ``(n, values)`` float64. One of zeros is at a right angle to all others.

    Returns
    -------
    dissimilarities
        ``(n, n)`` float64 from 0 to 1, zero on the diagonal.
    """
    units = normalised(snapshots)
    found: np.ndarray = np.sqrt(np.maximum(0.0, 1.0 - (units @ units.T) ** 2))
    np.fill_diagonal(found, 0.0)
    return found


def distances(snapshots: np.ndarray) -> np.ndarray:
    """Return the Euclidean distances between snapshots ``(n, values)``, ``(n, n)`` float64."""
    found: np.ndarray = scipy.spatial.distance.cdist(snapshots, snapshots)
    return found


def normalised(snapshots: np.ndarray) -> np.ndarray:
    """Return snapshots ``(n, values)`` with norm 1; one of zeros stays what it is."""
    sizes = np.linalg.norm(snapshots, axis=1, keepdims=True)
    found: np.ndarray = np.divide(snapshots, sizes, out=np.zeros_like(snapshots), where=sizes > 0)
    return found


def k_medoids(dissimilarities: np.ndarray, clusters: int) -> tuple[np.ndarray, np.ndarray]:
    """Divide points into clusters around medoids, points to which the others of their cluster are little unlike.

    Medoids are added one by one, each where the sum of the dissimilarities of all points to their nearest medoid falls
    most; then the exchange of a medoid for another point that lowers the sum most is made until none does. Nothing is
    random.

    Source: L. Kaufman, P. J. Rousseeuw, "Clustering by means of medoids", Statistical Data Analysis Based on the
    L1-Norm (1987).

    Parameters
    ----------
    dissimilarities
        ``(n, n)`` float64, zero on the diagonal.
    clusters
        From 1 to n.

    Returns
    -------
    medoids
        ``(clusters,)`` int64, which points they are.
    labels
        ``(n,)`` int64, the cluster of every point; each has at least its medoid.

    Raises
    ------
    ValueError
        If there are fewer points than clusters.

    Examples
    --------
    >>> points = np.array([0.0, 1.0, 2.0, 10.0, 11.0, 12.0])
    >>> k_medoids(np.abs(points[:, None] - points), 2)
    (array([1, 4]), array([0, 0, 0, 1, 1, 1]))
    """
    points = len(dissimilarities)
    if not 1 <= clusters <= points:
        raise ValueError(f"clusters is {clusters}, expected 1 to {points}, the number of points")
    medoids: list[int] = []
    nearest = np.full(points, np.inf)
    for _ in range(clusters):
        sums = np.minimum(nearest[:, None], dissimilarities).sum(axis=0)
        sums[medoids] = np.inf
        medoids.append(int(sums.argmin()))
        nearest = np.minimum(nearest, dissimilarities[:, medoids[-1]])
    total = nearest.sum()
    while True:
        sums = np.empty((clusters, points))
        for place in range(clusters):
            others = medoids[:place] + medoids[place + 1 :]
            left = dissimilarities[:, others].min(axis=1, initial=np.inf)
            sums[place] = np.minimum(left[:, None], dissimilarities).sum(axis=0)
        place, point = divmod(int(sums.argmin()), points)
        # A gain within rounding could be made and undone for ever.
        if not sums[place, point] < total * (1 - 1e-12):
            break
        medoids[place], total = point, sums[place, point]
    chosen = np.array(medoids, dtype=np.int64)
    labels = dissimilarities[:, chosen].argmin(axis=1).astype(np.int64)
    # Among equal points the first medoid is the nearest of all.
    labels[chosen] = np.arange(clusters)
    return chosen, labels
