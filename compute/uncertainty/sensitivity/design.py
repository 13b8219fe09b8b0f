"""Saltelli's design, and what each of its base points says of Sobol' indices."""

from __future__ import annotations

import numpy as np

BITS = 30
"""Of a coordinate of a point."""


def digital_nets(dimensions: int, points: int, replicates: int, numbers: np.random.Generator) -> np.ndarray:
    """Return Sobol' points with a random digital shift per replicate, in the open unit cube.

    A shift alone keeps what is good in the published direction numbers. A random matrix (`scipy.stats.qmc.Sobol` with
    ``scramble=True``) is as good in the median and misses further at times (benchmarks/sensitivity.txt).

    Parameters
    ----------
    points
        Of a replicate, a power of two.
    numbers
        What the shifts are drawn from.

    Returns
    -------
    numpy.ndarray
        ``(replicates, points, dimensions)`` float64. Each point is uniform by itself, and replicates are independent.

    References
    ----------
    S. Joe, F. Y. Kuo, "Constructing Sobol sequences with better two-dimensional projections", SIAM J. Sci. Comput. 30
    (2008); C. Lemieux, "Monte Carlo and Quasi-Monte Carlo Sampling", Springer 2009, 6.2.
    """
    # Loading it takes as long as the rest of SciPy.
    from scipy.stats import qmc

    net = (qmc.Sobol(dimensions, scramble=False, bits=BITS).random(points) * 2**BITS).astype(np.int64)
    shifts = numbers.integers(0, 2**BITS, (replicates, 1, dimensions))
    # In the middle of a cell, so that no point lies at 0.
    shifted: np.ndarray = ((net ^ shifts) + 0.5) / 2**BITS
    return shifted


def latin_hypercube(dimensions: int, points: int, numbers: np.random.Generator) -> np.ndarray:
    """Return points of which each coordinate has one in each of as many equal intervals, in the open unit cube.

    Returns
    -------
    numpy.ndarray
        ``(points, dimensions)`` float64; each point is uniform by itself.

    References
    ----------
    A. B. Owen, "Monte Carlo variance of scrambled net quadrature", SIAM J. Numer. Anal. 34 (1997): a mean over n ≥ 2
    of them has at most n/(n − 1) times the variance of that over independent points.
    """
    cells = np.stack([numbers.permutation(points) for _ in range(dimensions)], axis=1)
    # Never at 0 or 1.
    within = (numbers.integers(0, 2**BITS, cells.shape) + 0.5) / 2**BITS
    return np.asarray((cells + within) / points)


def picked(base: np.ndarray) -> np.ndarray:
    """Return the points at which a function has to be known for its indices.

    Parameters
    ----------
    base
        ``(n, 2 d)`` base points: two independent points A and B of the unit cube, beside each other.

    Returns
    -------
    numpy.ndarray
        ``(n (d + 2), d)``: of each base point A, B, and A with one coordinate of B, for each coordinate.
    """
    count, width = base.shape[0], base.shape[1] // 2
    points = np.repeat(base[:, None, :width], width + 2, axis=1)
    points[:, 1] = base[:, width:]
    axes = np.arange(width)
    points[:, 2 + axes, axes] = base[:, width:]
    return points.reshape(count * (width + 2), width)


def contributions(values: np.ndarray, centre: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return what each base point says of V Sᵢ by Saltelli's estimator, and of V Tᵢ by Jansen's.

    Parameters
    ----------
    values
        ``(n, d + 2, q)`` values at the points of `picked`.
    centre
        ``(q,)`` or ``(n, q)``, a number near the mean: any makes an estimator without a bias, if it does not depend on
        the values of the base point itself, and the mean the one of least variance.

    Returns
    -------
    first, total
        ``(n, q, d)`` each; their means are ``V Sᵢ`` and ``V Tᵢ``, with V the variance.
    """
    one, other, mixed = values[:, 0, None], values[:, 1, None], values[:, 2:]
    first = (other - np.broadcast_to(centre, values[:, 0].shape)[:, None]) * (mixed - one)
    total = (mixed - one) ** 2 / 2
    return np.moveaxis(first, 1, 2), np.moveaxis(total, 1, 2)
