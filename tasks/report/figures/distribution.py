from __future__ import annotations

import numpy as np

BINS = 32


def finite(values: np.ndarray) -> np.ndarray:
    """Return the finite values in float64."""
    values = np.asarray(values, float)
    return values[np.isfinite(values)]


def bins(values: np.ndarray, log: bool = True) -> np.ndarray:
    """Return the edges of a histogram of ``values``, on a logarithmic axis or, of whole numbers, on a linear one."""
    low, high = float(values.min()), float(values.max())
    if not log:
        width = max(1.0, np.ceil((high - low + 1) / BINS))
        return np.arange(low - 0.5, high + width + 0.5, width)
    low = max(low, 1e-300) / 1.02
    high = max(high, low) * 1.02
    return np.geomspace(low, high, int(np.clip(8 * np.log10(high / low), BINS, 3 * BINS)) + 1)


def smooth(values: np.ndarray, window: int) -> np.ndarray:
    """Return the mean of the last ``window`` values at each position, fewer at the start."""
    total = np.cumsum(np.insert(np.nan_to_num(values), 0, 0.0))
    stop = np.arange(1, len(values) + 1)
    start = np.maximum(stop - window, 0)
    return (total[stop] - total[start]) / (stop - start)
