"""Scores of distributions of fields, from draws of them: how close they are to the truth, and how honest."""

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np

TILE = 4096
"""Points that the energy score takes together, at most."""

BINS = 10
"""Of a rank histogram, at most."""


def crps(draws: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """Return the continuous ranked probability score of every sample: the mean over its points.

    By the fair estimator, ``mean |xᵢ − y| − ½ mean |xᵢ − xⱼ|`` over all draws and all pairs of two draws, whose mean
    does not depend on their number. Of a prediction without a distribution the score is its absolute error.

    Parameters
    ----------
    draws
        ``(m, n, *dims)``, m ≥ 2, exchangeable.
    truth
        ``(n, *dims)``, in the same unit.

    Returns
    -------
    numpy.ndarray
        ``(n,)`` float64 in that unit, small is good.

    Raises
    ------
    ValueError
        There are fewer than two draws, the shapes differ, or a value is not finite.

    References
    ----------
    T. Gneiting, A. E. Raftery, "Strictly proper scoring rules, prediction, and estimation", JASA 102 (2007);
    C. A. T. Ferro, "Fair scores for ensemble forecasts", Q. J. R. Meteorol. Soc. 140 (2014).
    """
    # Loading it compiles kernels for seconds.
    from scoringrules import crps_ensemble

    drawn, true = _flat(draws, truth)
    scores = [
        np.mean(crps_ensemble(one, np.asarray(drawn[:, row], np.float64), m_axis=0, estimator="fair"))
        for row, one in enumerate(true)
    ]
    return np.array(scores, dtype=np.float64)


def energy(draws: np.ndarray, truth: np.ndarray, tile: int = TILE) -> np.ndarray:
    """Return the energy score of every sample: the CRPS with the distance of fields in the place of that of numbers.

    The distance of two fields is the root mean square of their difference over the points, so the score does not grow
    with the grid, and the score of a prediction without a distribution is its root mean square error. A field of more
    points than a tile is cut into equal parts of its flattened order, and the scores of the parts are averaged: in more
    dimensions the score tells distributions apart less and less. Other than the CRPS it sees how draws vary from point
    to point. By the fair estimator.

    Parameters
    ----------
    draws, truth
        As for `crps`.
    tile
        Points of a part, at most.

    Returns
    -------
    numpy.ndarray
        ``(n,)`` float64 in the unit of the values, small is good.

    Raises
    ------
    ValueError
        As for `crps`.
    """
    from scoringrules import es_ensemble

    drawn, true = _flat(draws, truth)
    ends = np.linspace(0, true.shape[1], math.ceil(true.shape[1] / tile) + 1).round().astype(int)
    scores = np.zeros(len(true))
    for low, high in pairwise(ends):
        for row, one in enumerate(true):
            members = np.ascontiguousarray(drawn[:, row, low:high], np.float64)
            scores[row] += es_ensemble(one[low:high], members, estimator="fair") / math.sqrt(high - low)
    return scores / (len(ends) - 1)


def ranks(draws: np.ndarray, truth: np.ndarray, bins: int = BINS) -> np.ndarray:
    """Return the rank histogram of every sample: the share of its points whose truth has such a rank among the draws.

    Where the truth is one more draw of the distribution, its rank among m draws is each of 0 to m alike, and the mean
    over samples is flat. It is high at both ends where draws vary too little, in the middle where they vary too much,
    and at one end where they are biased. The points of one sample are one observation: its own histogram is not flat.

    Parameters
    ----------
    draws, truth
        As for `crps`.
    bins
        Where there are more ranks, they are put into so many bins of the same width; one that lies in two bins goes to
        either by chance.

    Returns
    -------
    numpy.ndarray
        ``(n, k)`` float64, k = min(m + 1, bins), each row of sum 1. Equal values are ranked by chance; the chance is
        the same for the same sample.

    Raises
    ------
    ValueError
        As for `crps`.

    References
    ----------
    T. M. Hamill, "Interpretation of rank histograms for verifying ensemble forecasts", Mon. Weather Rev. 129 (2001).
    """
    drawn, true = _flat(draws, truth)
    count = min(len(drawn) + 1, bins)
    shares = np.empty((len(true), count))
    for row, one in enumerate(true):
        chance = np.random.default_rng(0)
        members = np.asarray(drawn[:, row], np.float64)
        ties = np.sum(members == one, axis=0)
        rank = np.sum(members < one, axis=0) + chance.integers(0, ties, endpoint=True)
        if count <= len(drawn):
            rank = np.minimum(((rank + chance.random(rank.shape)) * count / (len(drawn) + 1)).astype(int), count - 1)
        shares[row] = np.bincount(rank, minlength=count) / len(one)
    return shares


def _flat(draws: np.ndarray, truth: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return draws ``(m, n, points)`` and the truth ``(n, points)`` float64, or refuse them."""
    if draws.ndim != truth.ndim + 1 or draws.shape[1:] != truth.shape or truth.ndim < 1:
        raise ValueError(f"draws has shape {draws.shape}, expected (m, n, *dims) for a truth of {truth.shape}")
    if len(draws) < 2:
        raise ValueError(f"draws has {len(draws)} of each sample, expected 2 or more")
    for name, values in (("draws", draws), ("truth", truth)):
        lost = int(np.sum(~np.isfinite(values)))
        if lost:
            raise ValueError(f"{name} has {lost} of {values.size} values that are not finite, expected finite numbers")
    samples, points = truth.shape[0], math.prod(truth.shape[1:])
    return draws.reshape(len(draws), samples, points), truth.reshape(samples, points).astype(np.float64)
