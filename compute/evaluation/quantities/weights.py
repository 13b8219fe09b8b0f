"""By what the values of a field count in a number that is linear in it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ritz.compute.fields.dimensions import Dimensions

if TYPE_CHECKING:
    import xarray as xr

Box = tuple[tuple[float, ...], tuple[float, ...]]
"""The corners with the smallest and with the largest coordinates, along the dimensions of space in their order."""


def cells(dimensions: Dimensions) -> str:
    """Return why the values of a field do not stand for parts of the domain, in a few words; empty where they do."""
    known = dimensions.mesh or dimensions.lengths is not None
    return "" if known else f"the points along {', '.join(dimensions.space)} have uneven distances"


def corners(template: xr.Dataset) -> dict[str, tuple[float, float]]:
    """Return where a box of equal cells begins and ends along each dimension of space."""
    return {dim: (float(edges[0]), float(edges[-1])) for dim, edges in _edges(template).items()}


def integration(template: xr.Dataset, box: Box | None = None) -> np.ndarray:
    """Return the weights by which the values of a field sum up to its integral.

    Parameters
    ----------
    box
        Over a part of a box of cells; the whole domain by default.

    Returns
    -------
    weights
        ``(*space)`` float64: the volumes of the cells, as far as they lie in the part; of a mesh the areas that the
        nodes stand for, a third of each triangle around them.
    """
    if Dimensions.of(template).mesh:
        return _areas(template)
    weights = np.ones(())
    for axis, edges in enumerate(_edges(template).values()):
        low, high = (edges[0], edges[-1]) if box is None else (box[0][axis], box[1][axis])
        inside = np.clip(np.minimum(edges[1:], high) - np.maximum(edges[:-1], low), 0, None)
        weights = np.multiply.outer(weights, inside)
    return weights


def interpolation(template: xr.Dataset, point: tuple[float, ...]) -> np.ndarray:
    """Return the weights ``(*space)`` float64 by which the values of a field give that at a point, linear per axis.

    Parameters
    ----------
    point
        A coordinate for each dimension of space, in their order.
    """
    weights = np.ones(())
    for dim, at in zip(Dimensions.of(template).space, point, strict=True):
        points = template[dim].values.astype(np.float64)
        along = np.zeros(len(points))
        if len(points) == 1:
            along[0] = 1.0
        else:
            lower = int(np.clip(np.searchsorted(points, at) - 1, 0, len(points) - 2))
            share = (at - points[lower]) / (points[lower + 1] - points[lower])
            along[[lower, lower + 1]] = 1 - share, share
        weights = np.multiply.outer(weights, along)
    return weights


def _edges(template: xr.Dataset) -> dict[str, np.ndarray]:
    """Return where the cells begin and end along each dimension of space: halfway between their centres."""
    dimensions = Dimensions.of(template)
    assert dimensions.lengths is not None
    found = {}
    for dim, length in zip(dimensions.space, dimensions.lengths, strict=True):
        count = dimensions.sizes[dim]
        width = length / count
        begin = float(template[dim].values[0]) - width / 2 if dim in template.coords else 0.0
        # Coordinates are decimal fractions of the box: twelve digits leave its ends what they are.
        found[dim] = np.round(begin + width * np.arange(count + 1), 12)
    return found


def _areas(template: xr.Dataset) -> np.ndarray:
    corner = template["triangle"].values
    x, y = (template[axis].values.astype(np.float64)[corner] for axis in ("x", "y"))
    doubled = (x[:, 1] - x[:, 0]) * (y[:, 2] - y[:, 0]) - (x[:, 2] - x[:, 0]) * (y[:, 1] - y[:, 0])
    areas = np.zeros(template.sizes["node"])
    np.add.at(areas, corner, np.abs(doubled)[:, None] / 6)
    return areas
