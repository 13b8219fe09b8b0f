"""How well estimated errors rank the true ones."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import scipy

POINTS = 100_000
"""Points that are drawn for a rank correlation, at most."""


def ranking(estimate: Mapping[str, np.ndarray], error: Mapping[str, np.ndarray]) -> dict[str, float]:
    """Return how well the sizes of estimated errors rank those of the true ones; NaN where all are alike.

    Parameters
    ----------
    estimate, error
        Absolute errors by output, ``(n, *dims)``, n ≥ 2; a sample without an estimate has NaN or infinity.

    Returns
    -------
    dict
        ``spearman_point`` and ``spearman_sample``, rank correlations at points and of the root mean squares of samples;
        ``ause``, the area between the sparsification curves of the estimate and of the error itself: by how much the
        mean error of the samples that are kept is above the least possible, as those of the largest estimates are left
        out one by one, over the mean error of all. 0 is best.

    References
    ----------
    E. Ilg et al., "Uncertainty estimates and multi-hypotheses networks for optical flow", ECCV 2018, for the area.
    """
    flat = [
        np.concatenate([one[name].reshape(len(one[name]), -1) for name in error], axis=1) for one in (estimate, error)
    ]
    known = np.isfinite(flat[0]).all(axis=1)
    guessed, true = (values[known].astype(np.float64) for values in flat)
    if len(true) < 2:
        return dict.fromkeys(("spearman_point", "spearman_sample", "ause"), float("nan"))
    drawn = np.random.default_rng(0).integers(0, true.size, min(POINTS, true.size))
    samples = [np.sqrt(np.mean(values**2, axis=1)) for values in (guessed, true)]
    return {
        "spearman_point": _correlation(guessed.ravel()[drawn], true.ravel()[drawn]),
        "spearman_sample": _correlation(*samples),
        "ause": _area(*samples),
    }


def _correlation(one: np.ndarray, other: np.ndarray) -> float:
    if not np.ptp(one) or not np.ptp(other):
        return float("nan")
    return float(scipy.stats.spearmanr(one, other).statistic)


def _area(estimate: np.ndarray, error: np.ndarray) -> float:
    """Return the area between the curves of the mean error of what is kept."""

    def kept(order: np.ndarray) -> np.ndarray:
        means: np.ndarray = np.cumsum(error[order]) / np.arange(1, len(error) + 1)
        return means

    if not error.any():
        return 0.0
    # Samples of equal estimates are left out in their order.
    curves = [kept(np.argsort(by, kind="stable")) for by in (estimate, error)]
    return float(np.mean(curves[0] - curves[1]) / error.mean())
