"""What problems on a periodic box have in common that couple a cell to its nearest neighbours alone."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np
import scipy

from ritz.compute.fields.arrays import Array, roll
from ritz.compute.problems.box.grid import axes
from ritz.compute.problems.box.walls import along_walls
from ritz.compute.problems.problem import Problem
from ritz.compute.solvers.operators import Matrices, Pattern


class OnTorus(Problem):
    """A problem on a periodic box with the fields ``shape`` and ``length``, whose outputs lie on all of its cells."""

    if TYPE_CHECKING:
        # Fields of a subclass, which keep their places among its others.
        shape: tuple[int, ...]
        length: float

    @property
    def squares(self) -> tuple[float, ...]:
        """1/h² along each axis, h the width of a cell."""
        return tuple((cells / self.length) ** 2 for cells in self.shape)

    @property
    def rings(self) -> tuple[str, ...]:
        """All axes close to rings."""
        return axes(self.shape)

    def conditions(self) -> dict[str, np.ndarray]:
        """Return the cells where the box closes, along its ends; see `Problem.conditions`."""
        first = self.template(1).data_vars
        cells = along_walls(self.shape)
        return {str(name): cells for name, values in first.items() if values.attrs["role"] == "output"}


def outflow(u: Array, squares: tuple[float, ...]) -> Array:
    """Sum the fluxes −∇u out of every cell of a periodic box, per volume: ``−Δ u`` from the faces between the cells.

    Parameters
    ----------
    u
        ``(n, …, *shape)``, NumPy array or torch tensor, a cell along the last axes.
    squares
        1/h² along each axis of space.

    Returns
    -------
    fluxes
        ``(n, …, *shape)``.
    """
    total = 0.0
    for axis, square in enumerate(squares, start=-len(squares)):
        flux = square * (u - roll(u, -1, axis))
        total = total + flux - roll(flux, 1, axis)
    return total


def around(u: np.ndarray, squares: tuple[float, ...]) -> np.ndarray:
    """Return the sum of the neighbours of every cell, each times 1/h² along its axis; see `outflow`."""
    total = np.zeros_like(u)
    for axis, square in enumerate(squares, start=-len(squares)):
        total += square * (np.roll(u, 1, axis) + np.roll(u, -1, axis))
    return total


@dataclass(frozen=True, eq=False)
class Star:
    """The pattern of matrices that couple all fields within a cell, and each field to itself in the nearest neighbours.

    The unknowns are the values of the fields in C order, one field after the other.

    Attributes
    ----------
    pattern
        One object for all matrices of a grid.
    local
        ``(fields, fields, cells)`` where in the values of the pattern the coupling of a field, in its equation, to the
        fields in the same cell lies.
    across
        ``(fields, 2 d, cells)`` where that to the lower and upper neighbour along each of d axes lies.
    """

    pattern: Pattern
    local: np.ndarray
    across: np.ndarray

    def __post_init__(self) -> None:
        self.local.flags.writeable = False
        self.across.flags.writeable = False


@lru_cache(maxsize=32)
def star(shape: tuple[int, ...], fields: int = 1) -> Star:
    """Return the pattern of a periodic box of at least three cells along each axis, for so many fields."""
    cells = np.arange(np.prod(shape))
    grid, d = cells.reshape(shape), len(shape)
    beside = [np.roll(grid, way, axis).ravel() for axis in range(d) for way in (1, -1)]
    size = len(cells)
    columns = np.empty((fields, fields + 2 * d, size), dtype=np.int64)
    for field in range(fields):
        columns[field, :fields] = [other * size + cells for other in range(fields)]
        columns[field, fields:] = [field * size + neighbour for neighbour in beside]
    rows = np.broadcast_to(np.arange(fields * size).reshape(fields, 1, size), columns.shape)
    # One more, so that none of the entries is zero.
    matrix = scipy.sparse.csr_array(
        (1.0 + np.arange(columns.size), (rows.ravel(), columns.ravel())), shape=(fields * size,) * 2
    )
    matrix.sort_indices()
    places = np.empty(columns.size, dtype=np.int64)
    places[matrix.data.astype(np.int64) - 1] = np.arange(columns.size)
    places = places.reshape(columns.shape)
    return Star(Matrices.pattern_of(matrix), places[:, :fields], places[:, fields:])
