"""The energy ½ a |∇u|² + β/4 |∇u|⁴ − f u on a square of equal cells with u = 0 at its walls, and its derivatives.

A difference of u over a face of a cell, half a cell from the centre at a wall, is one of the two slopes of the cell
along that axis; |∇u|⁴ of the cell is its mean over the four pairs of a slope along y and one along x.
"""

from __future__ import annotations

from functools import lru_cache
from itertools import product

import numpy as np
import scipy

from ritz.compute.fields.arrays import Array, like, namespace, padded, part
from ritz.compute.solvers.assembly import diffusion
from ritz.compute.solvers.minimisers.energy import Energy
from ritz.compute.solvers.operators import Matrices, Pattern, Stencil

_AXES = (1, 2)
"""Those of y and x in fields ``(n, ny, nx)``."""

_WAYS = (-1, 0, 1)
"""To the lower cell, the cell itself, the upper cell."""


def stiffened(u: Array) -> Array:
    """Sum the fluxes −|∇u|² ∇u out of every cell, per area; u = 0 at the walls.

    Through a face flows (s² + t²) s, s the slope over the face, t² the mean of the squares of the four slopes beside it
    along the other axis; at a wall of the two.

    Parameters
    ----------
    u
        ``(n, ny, nx)``, NumPy array or torch tensor, at the centres of the cells of the unit square.
    """
    total = 0.0
    slopes = [_slope(u, axis) for axis in _AXES]
    for axis, slope, along in zip(_AXES, slopes, slopes[::-1], strict=True):
        lower, upper = _sides((slope**2 + _beside(along, axis)) * slope, axis)
        total = total - (upper - lower) * u.shape[axis]
    return total


class CellEnergy(Energy):
    """Σ over the cells of ½ a |∇u|² + β/4 |∇u|⁴ − f u: the energy over the area of a cell.

    Parameters
    ----------
    a, f
        ``(n, ny, nx)`` float64.
    stiffening
        β.
    """

    def __init__(self, a: np.ndarray, f: np.ndarray, stiffening: float) -> None:
        self.f, self.stiffening = f, stiffening
        self.linear = diffusion(a)

    def value(self, u: np.ndarray) -> np.ndarray:
        """Return the energies; see `Energy.value`."""
        # What is homogeneous of degree 2 is half of u times its derivative, and of degree 4 a quarter.
        density = u * (0.5 * _product(self.linear, u) + 0.25 * _product(self._secant(u), u) - self.f)
        found: np.ndarray = np.sum(density, axis=_AXES)
        return found

    def gradient(self, u: np.ndarray) -> np.ndarray:
        """Return what the equations leave over; see `Energy.gradient`."""
        found: np.ndarray = _product(self.linear, u) + _product(self._secant(u), u) - self.f
        return found

    def hessian(self, u: np.ndarray) -> Matrices:
        """Return 9-point matrices; see `Energy.hessian`."""
        slopes = [_slope(u, axis) for axis in _AXES]
        square = self.linear.coefficients + self._stencils(slopes, 3)
        count, ny, nx = u.shape
        values = np.zeros((count, 3, 3, ny, nx))
        for way, (dy, dx) in enumerate(((0, 0), (-1, 0), (1, 0), (0, -1), (0, 1))):
            values[:, 1 + dy, 1 + dx] = square[:, way]
        # A cell couples its slopes along y to those along x: β/2 of the products of what u does to the sums of both.
        wide = np.zeros((count, 3, 3, ny + 2, nx + 2))
        along_y, along_x = (_moved(slope, axis) for slope, axis in zip(slopes, _AXES, strict=True))
        for (p, of_y), (q, of_x) in product(zip(_WAYS, along_y, strict=True), zip(_WAYS, along_x, strict=True)):
            both = 0.5 * self.stiffening * of_y * of_x
            wide[:, 1 - p, 1 + q, 1 + p : 1 + p + ny, 1 : 1 + nx] += both
            wide[:, 1 + p, 1 - q, 1 : 1 + ny, 1 + q : 1 + q + nx] += both
        values += wide[..., 1:-1, 1:-1]
        pattern, entries = _nine_points((ny, nx))
        return Matrices(values.reshape(count, -1)[:, entries], pattern, (ny, nx), symmetric=True, definite=True)

    def metric(self) -> Stencil:
        """Return −Δ; see `Energy.metric`."""
        return diffusion(np.broadcast_to(1.0, self.f.shape))

    def _secant(self, u: np.ndarray) -> Stencil:
        """Return the operators of −∇·(β |∇u|² ∇)."""
        return Stencil(self._stencils([_slope(u, axis) for axis in _AXES], 1), symmetric=True)

    def _stencils(self, slopes: list[np.ndarray], factor: float) -> np.ndarray:
        """Return the coefficients of the stencils with the conductivities β (``factor`` s² + t²) of the faces."""
        pairs = zip(_AXES, slopes, slopes[::-1], strict=True)
        return _through([self.stiffening * (factor * slope**2 + _beside(along, axis)) for axis, slope, along in pairs])


def _slope(u: Array, axis: int) -> Array:
    """Return the slopes of u over the faces across an axis, one more than cells; over a wall those of half a cell."""
    p = padded(u, axis)
    cells = np.full((u.shape[axis] + 1, *(1,) * (u.ndim - 1 - axis)), float(u.shape[axis]))
    cells[[0, -1]] *= 2
    return (p[part(axis, 1, None)] - p[part(axis, None, -1)]) * like(cells, u)


def _sides(faces: Array, axis: int) -> tuple[Array, Array]:
    """Return what belongs to the lower and to the upper face of every cell."""
    return faces[part(axis, None, -1)], faces[part(axis, 1, None)]


def _beside(slope: Array, axis: int) -> Array:
    """Return at the faces across an axis the mean squares of the slopes along the other, of the cells at both sides."""
    lower, upper = _sides(slope**2, 3 - axis)
    cells = 0.5 * (lower + upper)
    ends = cells[part(axis, None, 1)], cells[part(axis, -1, None)]
    wide = namespace(cells).concat([ends[0], cells, ends[1]], axis=axis)
    return 0.5 * (wide[part(axis, None, -1)] + wide[part(axis, 1, None)])


def _through(conductivities: list[np.ndarray]) -> np.ndarray:
    """Return the coefficients of the stencils with these conductivities of the faces across y and x."""
    count, ny, nx = len(conductivities[0]), conductivities[1].shape[1], conductivities[0].shape[2]
    c = np.zeros((count, 5, ny, nx))
    for axis, conductivity in zip(_AXES, conductivities, strict=True):
        lower, upper = _sides(conductivity * (c.shape[1 + axis] ** 2), axis)
        inner_lower, inner_upper = part(axis, 1, None), part(axis, None, -1)
        c[:, 2 * axis - 1][inner_lower] = -lower[inner_lower]
        c[:, 2 * axis][inner_upper] = -upper[inner_upper]
        for side, end in ((lower, part(axis, None, 1)), (upper, part(axis, -1, None))):
            c[:, 0] += side
            # Half a cell to the wall.
            c[:, 0][end] += side[end]
    return c


def _moved(slope: np.ndarray, axis: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the derivatives of half the sum of the squares of a cell's two slopes by the lower cell, it, the upper."""
    cells = slope.shape[axis] - 1
    lower, upper = (side * cells for side in _sides(slope, axis))
    here = lower - upper
    below, above = -lower, upper
    for neighbour, end in ((below, part(axis, None, 1)), (above, part(axis, -1, None))):
        # To a wall it is half a cell, and u does not move there.
        here[end] -= neighbour[end]
        neighbour[end] = 0
    return below, here, above


def _product(operators: Stencil, u: np.ndarray) -> np.ndarray:
    return np.stack([operators.matvec(i, field) for i, field in enumerate(u)])


@lru_cache(maxsize=32)
def _nine_points(shape: tuple[int, int]) -> tuple[Pattern, np.ndarray]:
    """Return the pattern of a cell and its eight neighbours, and where its entries are in ``(3, 3, ny, nx)`` values."""
    ny, nx = shape
    cells = np.arange(ny * nx).reshape(shape)
    rows, columns, entries = [], [], []
    for dy, dx in product(_WAYS, repeat=2):
        here = cells[max(0, -dy) : ny - max(0, dy), max(0, -dx) : nx - max(0, dx)].ravel()
        rows.append(here)
        columns.append(here + dy * nx + dx)
        entries.append((3 * (1 + dy) + 1 + dx) * cells.size + here)
    # One more, so that none of the entries is zero.
    matrix = scipy.sparse.csr_array(
        (1.0 + np.concatenate(entries), (np.concatenate(rows), np.concatenate(columns))), shape=(cells.size,) * 2
    )
    matrix.sort_indices()
    found = matrix.data.astype(np.int64) - 1
    found.flags.writeable = False
    return Matrices.pattern_of(matrix), found
