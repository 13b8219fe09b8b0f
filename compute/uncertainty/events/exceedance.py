from __future__ import annotations

import numpy as np


def exceedance(predicted: np.ndarray, errors: np.ndarray, threshold: float) -> np.ndarray:
    """Return the probability that a quantity is above a threshold, by the errors of its predictions on other samples.

    That is the share of the known errors with which the prediction would be above it. Of a surrogate that draws it is
    the share of the draws that are above, ``(draws > threshold).mean(axis=0)``. Both hold for the law of the samples
    that they were measured on; `ritz.compute.uncertainty.events.recalibration` sets them right where that drifts.

    Parameters
    ----------
    predicted
        ``(n,)`` predicted quantities.
    errors
        ``(m,)`` true less predicted quantities of samples that the model was not trained on.
    threshold
        In the unit of the quantity.

    Returns
    -------
    numpy.ndarray
        ``(n,)`` float64, from 1/(m + 2) to 1 − 1/(m + 2): m errors tell no more.

    Raises
    ------
    ValueError
        There is no error, or a value is not finite.

    Examples
    --------
    >>> exceedance(np.array([0.0, 1.0, 9.0]), np.array([-1.0, 1.0]), threshold=1.5)
    array([0.25, 0.5 , 0.75])
    """
    for name, values in (("predicted", predicted), ("errors", errors)):
        if values.ndim != 1 or not np.isfinite(values).all():
            raise ValueError(f"{name} has shape {values.shape}, expected (n,) finite numbers")
    if not len(errors):
        raise ValueError("errors has no value, expected one or more")
    above = len(errors) - np.searchsorted(np.sort(errors), threshold - np.asarray(predicted, np.float64), "right")
    shares: np.ndarray = (1 + above) / (2 + len(errors))
    return shares
