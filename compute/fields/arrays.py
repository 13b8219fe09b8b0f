"""What formulas need that are written once, for NumPy arrays and torch tensors.

Operators, slices and the functions that both libraries name alike (``concat``, ``where``, ``exp``, ``sum``) are used as
they are; the rest is here.
"""

from __future__ import annotations

import importlib
from typing import Any

import numpy as np

Array = Any
"""A NumPy array or a torch tensor."""


def namespace(x: Array) -> Any:
    """Return the module whose functions take ``x``: numpy or torch."""
    return np if isinstance(x, np.ndarray) else importlib.import_module("torch")


def double(x: Array) -> Array:
    """Return ``x`` in float64."""
    return x.astype(np.float64) if isinstance(x, np.ndarray) else x.double()


def like(values: np.ndarray, x: Array) -> Array:
    """Return given values as an array of the library, dtype and device of ``x``."""
    if isinstance(x, np.ndarray):
        return values.astype(x.dtype, copy=False)
    return namespace(x).as_tensor(values, dtype=x.dtype, device=x.device)


def select(mask: np.ndarray, x: Array, y: Array | float) -> Array:
    """Return ``x`` where ``mask`` holds, an array of bool that is broadcast against it, and else ``y``."""
    if isinstance(x, np.ndarray):
        return np.where(mask, x, y)
    torch = namespace(x)
    return torch.where(torch.as_tensor(mask, device=x.device), x, y)


def cast(values: Array, x: Array) -> Array:
    """Return ``values`` in the dtype of ``x``, an array of the same library."""
    return values.astype(x.dtype, copy=False) if isinstance(x, np.ndarray) else values.to(x.dtype)


def roll(x: Array, places: int, axis: int) -> Array:
    """Move the entries of ``x`` along an axis; what leaves at one end comes in at the other."""
    return np.roll(x, places, axis) if isinstance(x, np.ndarray) else x.roll(places, axis)


def padded(x: Array, axis: int) -> Array:
    """Return ``x`` with a zero before and behind it along an axis.

    Examples
    --------
    >>> padded(np.ones((1, 2)), axis=1)
    array([[0., 1., 1., 0.]])
    """
    xp = namespace(x)
    end = xp.zeros_like(x[part(axis % x.ndim, None, 1)])
    return xp.concat([end, x, end], axis=axis)


def part(axis: int, start: int | None, stop: int | None) -> tuple[slice, ...]:
    """Return the index that takes the entries from ``start`` to ``stop`` along an axis, and all along the others."""
    return (slice(None),) * axis + (slice(start, stop),)
