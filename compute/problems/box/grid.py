"""What problems on a box that is cut into equal cells have in common."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np
from pydantic import Field

if TYPE_CHECKING:
    import xarray as xr

Cells = Annotated[int, Field(ge=4, le=8192)]
"""Cells along an axis."""


def centres(cells: int, length: float = 1.0) -> np.ndarray:
    """Return where the centres of the cells lie along an axis, ``(cells,)`` float64 from 0 to the length."""
    return length * (np.arange(cells) + 0.5) / cells


def axes(shape: tuple[int, ...]) -> tuple[str, ...]:
    """Return the names of the axes of a grid: the last ones of z, y and x."""
    return ("z", "y", "x")[-len(shape) :]


def coordinates(shape: tuple[int, ...], length: float = 1.0) -> dict[str, Any]:
    """Return the coordinates of a template, the centres of the cells along each axis of a box of equal lengths."""
    about = {"units": "1", "long_name": "centre of the cell"}
    return {
        axis: (axis, centres(cells, length), about | {"axis": axis.upper()})
        for axis, cells in zip(axes(shape), shape, strict=True)
    }


def symmetries(shape: tuple[int, ...]) -> str:
    """Return which symmetries of the box a grid has: ``"square"`` with equal axes, ``"flips"`` with others."""
    return "square" if len(set(shape)) == 1 else "flips"


def template(n: int, shape: tuple[int, ...], variables: Mapping[str, Mapping[str, str]], symmetries: str) -> xr.Dataset:
    """Describe ``n`` samples of fields with one value a cell; see `ritz.compute.problems.problem.Problem.template`.

    Parameters
    ----------
    n
        Samples.
    shape
        Cells along each axis.
    variables
        Attributes of each field, in order.
    symmetries
        What the problem says of itself: ``"square"``, ``"flips"`` or ``"none"``.
    """
    import xarray as xr

    nothing = np.broadcast_to(np.float32(np.nan), (n, *shape))
    dims = ("sample", *axes(shape))
    return xr.Dataset(
        {name: (dims, nothing, dict(about)) for name, about in variables.items()},
        coords=coordinates(shape),
        attrs={"symmetries": symmetries},
    )
