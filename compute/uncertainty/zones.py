"""Rings of cells around a grid: near the walls errors are unlike those inside."""

from __future__ import annotations

import numpy as np

from ritz.compute.fields.dimensions import Dimensions
from ritz.compute.uncertainty.spread.alignment import space

RINGS = 6
"""At most: cells at the walls, the next ones, those up to 4, 8 and 16 cells from a wall, and the rest."""


def rings(shape: tuple[int, ...], axes: tuple[int, ...]) -> np.ndarray:
    """Return in which ring every cell lies: 0 at a wall, 1 behind it, then up to 4, 8, 16 cells from it, and the rest.

    Parameters
    ----------
    shape
        Of one sample.
    axes
        Of space.

    Examples
    --------
    >>> rings((7,), (0,)).tolist()
    [0, 1, 2, 2, 2, 1, 0]
    """
    distance = np.full(shape, np.iinfo(np.int64).max)
    for axis in axes:
        cells = np.arange(shape[axis])
        along = np.minimum(cells, cells[::-1])
        distance = np.minimum(distance, np.expand_dims(along, [i for i in range(len(shape)) if i != axis]))
    found: np.ndarray = np.minimum(np.ceil(np.log2(distance + 1)), RINGS - 1).astype(np.int64)
    return found


def zones(output: str, shape: tuple[int, ...], dimensions: Dimensions | None) -> np.ndarray | None:
    """Return the ring of every value of an output, ``shape``; None on a mesh.

    Parameters
    ----------
    shape
        Of one sample.
    dimensions
        Of all variables; None if they all have the axes of space and no others.
    """
    if dimensions is not None and dimensions.mesh:
        return None
    axes = space(output, dimensions)
    return rings(shape, tuple(range(len(shape))) if axes is None else axes)
