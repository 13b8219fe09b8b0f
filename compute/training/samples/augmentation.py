from __future__ import annotations

from collections.abc import Sequence
from itertools import permutations, product

import numpy as np

from ritz.compute.fields.dimensions import Dimensions


def symmetries(kind: str, axes: int) -> tuple[tuple[tuple[int, ...], tuple[int, ...]], ...]:
    """List the symmetries of a box as ``(permutation of the axes, axes to flip)``, the identity first.

    Parameters
    ----------
    kind
        ``"square"``: all flips and all permutations of the axes (8 in two dimensions); ``"flips"``: flips
        along every axis (4); ``"none"``.
    axes
        Number of axes of a field.

    Raises
    ------
    ValueError
        If the kind is another.
    """
    if kind not in ("square", "flips", "none"):
        raise ValueError(f"symmetries is {kind!r}, expected 'square', 'flips' or 'none'")
    everything = tuple(range(axes))
    orders = tuple(permutations(everything)) if kind == "square" else (everything,)
    chosen = product((False, True), repeat=axes) if kind != "none" else [(False,) * axes]
    flips = tuple(tuple(axis for axis in everything if flip[axis]) for flip in chosen)
    return tuple(product(orders, flips))


def check_symmetries(kind: str, dimensions: Dimensions) -> None:
    """Refuse symmetries that the variables of a problem cannot have.

    Time and other dimensions that make channels are never moved. Axes can be exchanged only if they have one length,
    and every variable lies along all of them or, like a number per sample, along none.

    Raises
    ------
    ValueError
        If they are for another grid, or for no grid.
    """
    symmetries(kind, len(dimensions.space))
    if kind != "none" and dimensions.mesh:
        raise ValueError(f"symmetries is {kind!r}, expected 'none': the nodes of a mesh are in no order to be turned")
    if kind != "square":
        return
    if len(set(dimensions.shape)) > 1:
        raise ValueError(f"symmetries is 'square' on a grid of {dimensions.shape} points, expected 'flips' or 'none'")
    partly = [name for name in dimensions.variables if len(set(dimensions.along(name))) > 1]
    if partly:
        raise ValueError(
            f"symmetries is 'square', but the variables {partly} lie along some of the axes {dimensions.space} alone; "
            "expected 'flips' or 'none'"
        )


def transform(
    fields: np.ndarray,
    group: Sequence[tuple[tuple[int, ...], tuple[int, ...]]],
    chosen: np.ndarray,
) -> np.ndarray:
    """Apply to every sample its own symmetry.

    Parameters
    ----------
    fields
        ``(n, channel, *space)``; axes that a symmetry permutes have one length.
    group
        What `symmetries` returns.
    chosen
        ``(n,)`` which of them for each sample.

    Returns
    -------
    fields
        A new array in the shape of the old.
    """
    out = np.empty_like(fields)
    for field, target, index in zip(fields, out, chosen, strict=True):
        order, flips = group[index]
        moved = field.transpose(0, *(1 + axis for axis in order))
        target[...] = np.flip(moved, tuple(1 + axis for axis in flips))
    return out


def averages(fields: np.ndarray) -> np.ndarray:
    """Return the means over blocks of two points along every axis.

    Parameters
    ----------
    fields
        ``(n, channel, *space)`` with an even number of points along every axis.

    Returns
    -------
    fields
        ``(n, channel, *(points / 2 for points in space))``.
    """
    space = fields.shape[2:]
    split = fields.reshape(*fields.shape[:2], *(part for points in space for part in (points // 2, 2)))
    mean: np.ndarray = split.mean(axis=tuple(range(3, split.ndim, 2)), dtype=fields.dtype)
    return mean
