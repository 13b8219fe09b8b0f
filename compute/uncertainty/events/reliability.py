"""How good the probabilities of an event were."""

from __future__ import annotations

import numpy as np

BINS = 10
"""Of the calibration error."""


def brier(probabilities: np.ndarray, outcomes: np.ndarray) -> float:
    """Return the Brier score: the mean square of probability less outcome.

    Parameters
    ----------
    probabilities, outcomes
        ``(n,)``, n ≥ 1; outcomes bool or 0 and 1.

    References
    ----------
    G. W. Brier, "Verification of forecasts expressed in terms of probability", Mon. Weather Rev. 78 (1950).

    Examples
    --------
    >>> brier(np.array([0.5, 1.0]), np.array([True, True]))
    0.125
    """
    return float(np.mean((probabilities - np.asarray(outcomes, np.float64)) ** 2))


def calibration_error(probabilities: np.ndarray, outcomes: np.ndarray, bins: int = BINS) -> float:
    """Return the expected calibration error: the mean difference of probability and outcome within bins.

    The bins are those of equal width from 0 to 1, weighted by their samples. Of calibrated probabilities it is not
    zero, but of the size of ``(bins/n)^½``.

    Parameters
    ----------
    probabilities, outcomes
        As for `brier`.
    bins
        Number of bins.

    Examples
    --------
    >>> round(calibration_error(np.array([0.2, 0.2, 0.9, 0.9]), np.array([0, 0, 1, 1])), 3)
    0.15
    """
    where = np.minimum((np.asarray(probabilities) * bins).astype(int), bins - 1)
    excess = np.bincount(where, weights=probabilities - np.asarray(outcomes, np.float64), minlength=bins)
    return float(np.abs(excess).sum() / len(probabilities))
