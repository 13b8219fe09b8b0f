"""Arrays of which one entry stands for all along the first axis, at no cost of memory."""

from __future__ import annotations

import numpy as np

from ritz.compute.solvers.scaling import shifted


def is_broadcast(values: np.ndarray) -> bool:
    """Whether all entries along the first axis are known to be one: there is at most one, or it is broadcast."""
    return len(values) <= 1 or values.strides[0] == 0


def take(values: np.ndarray, index: slice | np.ndarray) -> np.ndarray:
    """Return some entries along the first axis; what was broadcast along it still is."""
    if len(values) > 1 and is_broadcast(values):
        count = len(np.empty(len(values), dtype=bool)[index])
        return np.broadcast_to(values[:1], (count, *values.shape[1:]))
    return values[index]


def scaled(values: np.ndarray, powers: np.ndarray) -> np.ndarray:
    """Return values ``(n, …)`` times ``2ᵖ``; what was broadcast along the first axis still is."""
    if len(values) > 1 and is_broadcast(values):
        return np.broadcast_to(shifted(values[:1], int(powers[0])), values.shape)
    return np.stack([shifted(value, int(power)) for value, power in zip(values, powers, strict=True)])
