"""Least widths: where a measure of the error says next to nothing at a point, the sample's own level speaks."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from ritz.compute.uncertainty.predicted import Arrays

FLOORS = (0.01, 0.1, 0.3, 1.0)
"""Shares of a sample's root mean square that are tried as the least width at a point."""

_SHARE = 0.9


def floored(sizes: Mapping[str, np.ndarray], floor: float) -> Arrays:
    """Return sizes plus a share of the root mean square of each sample, positive, ``(n, *dims)`` float64."""
    found = {}
    for name, values in sizes.items():
        axes = tuple(range(1, values.ndim))
        level = np.sqrt(np.mean(np.square(values, dtype=np.float64), axis=axes, keepdims=True))
        found[name] = np.maximum(values + floor * level, np.finfo(np.float64).tiny)
    return found


def narrowest(sizes: Mapping[str, np.ndarray], errors: Mapping[str, np.ndarray]) -> float:
    """Return the one of `FLOORS` whose bands around 90 % of some errors are the narrowest on average.

    Of several outputs each counts by its own mean error.

    Parameters
    ----------
    sizes, errors
        ``(n, *dims)`` for every output.
    """

    def width(floor: float) -> float:
        found = floored(sizes, floor)
        return sum(
            float(np.quantile(error / found[name], _SHARE) * found[name].mean()) / (float(error.mean()) or 1.0)
            for name, error in errors.items()
        )

    return min(FLOORS, key=width)
