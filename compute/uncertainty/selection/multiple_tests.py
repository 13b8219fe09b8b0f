from __future__ import annotations

import numpy as np


def discoveries(p: np.ndarray, level: float) -> np.ndarray:
    """Return which tests are significant together, by the procedure of Benjamini and Hochberg.

    Parameters
    ----------
    p
        ``(k,)`` p-values.
    level
        False discovery rate.

    Returns
    -------
    numpy.ndarray
        ``(k,)`` bool: the j smallest p-values, for the largest j of which the largest is at most ``level j/k``.

    References
    ----------
    Y. Benjamini, Y. Hochberg, "Controlling the false discovery rate", J. R. Stat. Soc. B 57 (1995).

    Examples
    --------
    >>> discoveries(np.array([0.04, 0.9, 0.01, 0.08]), 0.1).tolist()
    [True, False, True, False]
    """
    ordered = np.sort(p)
    # A p-value that is a share may miss the bound by rounding alone.
    within = np.flatnonzero(ordered <= level * np.arange(1, len(p) + 1) / len(p) * (1 + 1e-12))
    chosen: np.ndarray = p <= ordered[within[-1]] if within.size else np.zeros(len(p), dtype=bool)
    return chosen
