from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from ritz.compute.solvers.operators.broadcast import is_broadcast, scaled, take
from ritz.compute.solvers.operators.operators import Operators, Pattern
from ritz.compute.solvers.operators.stencil_product import product, residual_squares
from ritz.compute.solvers.scaling import magnitude


@dataclass(frozen=True)
class Stencil(Operators):
    """Nearest-neighbour stencils with variable coefficients on a Cartesian grid: 3-, 5- or 7-point.

    Diffusion, upwind convection and Helmholtz terms all fit, since every coupling is given by itself.
    At a wall the coupling to the cell outside must be zero: boundary conditions are folded into the centre and
    the right-hand side.

    Attributes
    ----------
    coefficients
        ``(n, 1 + 2 d, *shape)`` float64 or complex128 for ``d`` space axes: the centre, then for each axis the
        coupling of a cell to its lower and to its upper neighbour. One matrix for all systems is one set of
        coefficients broadcast along the first axis (`numpy.broadcast_to`), which also takes no memory.
    symmetric
        Whether every operator equals its transpose. It is believed, not checked.
    definite
        Whether the symmetric part of every operator is positive definite. It is believed, not checked.
    """

    coefficients: np.ndarray
    symmetric: bool = False
    definite: bool = False

    def __post_init__(self) -> None:
        c = self.coefficients
        axes = c.ndim - 2
        if not 1 <= axes <= 3 or c.shape[1] != 1 + 2 * axes:
            raise ValueError(
                f"coefficients has shape {c.shape}, expected (n, 1 + 2 d, *shape) with d axes in shape, 1 to 3"
            )
        if c.dtype not in (np.float64, np.complex128):
            raise ValueError(f"coefficients has dtype {c.dtype}, expected float64 or complex128")
        if self.constant:
            c = c[:1]
        for axis in range(axes):
            walls = c[:, 1 + 2 * axis].take(0, axis=1 + axis), c[:, 2 + 2 * axis].take(-1, axis=1 + axis)
            if any(wall.any() for wall in walls):
                raise ValueError(
                    f"coefficients couple cells across a wall of axis {axis}: set them to zero there and fold "
                    "the boundary condition into the centre and the right-hand side"
                )

    @property
    def shape(self) -> tuple[int, ...]:  # type: ignore[override]  # an attribute above, computed here
        """Shape of the grid."""
        return self.coefficients.shape[2:]

    @property
    def constant(self) -> bool:
        """Whether the coefficients are one set, broadcast."""
        return is_broadcast(self.coefficients)

    @property
    def dtype(self) -> np.dtype:
        """Dtype of the entries."""
        return self.coefficients.dtype

    @property
    def pattern(self) -> Pattern:  # type: ignore[override]  # an attribute above, computed here
        """Where the entries lie; one object for all stencils on a grid."""
        return _layout(self.shape)[0]

    def __len__(self) -> int:
        """Return the number of systems."""
        return len(self.coefficients)

    def take(self, index: slice | np.ndarray) -> Stencil:
        """Return some of the operators, in the given order."""
        return Stencil(take(self.coefficients, index), self.symmetric, self.definite)

    def entries(self, i: int) -> np.ndarray:
        """Return the values of operator ``i`` in the order of the pattern."""
        values: np.ndarray = self.coefficients[i].ravel()[_layout(self.shape)[1]]
        return values

    def transposed(self) -> Stencil:
        """Return the transposes: couplings change place with those of the neighbours; see `Operators.transposed`."""
        if self.symmetric:
            return self
        c = self.coefficients[:1] if self.constant else self.coefficients
        found = np.zeros_like(c)
        found[:, 0] = c[:, 0]
        for axis in range(len(self.shape)):
            lower, upper = (np.moveaxis(c[:, 1 + 2 * axis + side], 1 + axis, 0) for side in (0, 1))
            to_lower, to_upper = (np.moveaxis(found[:, 1 + 2 * axis + side], 1 + axis, 0) for side in (0, 1))
            to_lower[1:], to_upper[:-1] = upper[:-1], lower[1:]
        return Stencil(np.broadcast_to(found, self.coefficients.shape), self.symmetric, self.definite)

    def scaled(self, powers: np.ndarray) -> Stencil:
        """Return the operators times powers of two; see `Operators.scaled`."""
        return Stencil(scaled(self.coefficients, powers), self.symmetric, self.definite)

    def magnitude(self, i: int) -> float:
        """Return the largest modulus of an entry of operator ``i``; see `Operators.magnitude`."""
        return magnitude(self.coefficients[i])

    def diagonal(self, i: int) -> np.ndarray:
        """Return the diagonal of operator ``i``, shape ``shape``."""
        values: np.ndarray = self.coefficients[i, 0]
        return values

    def matvec(self, i: int, x: np.ndarray) -> np.ndarray:
        """Apply operator ``i`` to a vector; the result has the shape of ``x``."""
        c = self.solid(i)
        y = np.empty(c.shape[1:], dtype=np.result_type(c, x))
        product(c, np.ascontiguousarray(x).reshape(y.shape), y)
        return y.reshape(x.shape)

    def residual(self, i: int, x: np.ndarray, rhs: np.ndarray) -> tuple[float, float]:
        """Return ``‖b − A_i x‖`` and ``‖b‖``, in double precision."""
        c = self.solid(i)
        cells = c.shape[1:]
        left, whole = residual_squares(
            c,
            np.ascontiguousarray(x).reshape(cells),
            np.ascontiguousarray(rhs).reshape(cells),
            np.empty(cells[-1], dtype=np.result_type(c, x)),
        )
        return float(np.sqrt(left)), float(np.sqrt(whole))

    def solid(self, i: int) -> np.ndarray:
        """Return the coefficients of operator ``i`` on a grid of three axes, ``(points, nz, ny, nx)``.

        Missing axes come first and have one cell. Of an axis with one cell there are no couplings.
        """
        cells = (1,) * (3 - len(self.shape)) + self.shape
        c = self.coefficients[i].reshape(-1, *cells)
        points = [0, *(point for axis, n in enumerate(self.shape) if n > 1 for point in (1 + 2 * axis, 2 + 2 * axis))]
        values: np.ndarray = c if len(points) == len(c) else c[points]
        return values


@lru_cache(maxsize=32)
def _layout(shape: tuple[int, ...]) -> tuple[Pattern, np.ndarray]:
    """Return the pattern of the stencils on a grid and where in ``coefficients[i]`` its entries come from."""
    size = int(np.prod(shape))
    cells = np.arange(size).reshape(shape)
    inside = np.zeros((1 + 2 * len(shape), *shape), dtype=bool)
    column = np.zeros(inside.shape, dtype=np.int64)
    inside[0], column[0] = True, cells
    for axis in range(len(shape)):
        stride = int(np.prod(shape[axis + 1 :]))
        place = np.indices(shape, sparse=True)[axis]
        inside[1 + 2 * axis], column[1 + 2 * axis] = place > 0, cells - stride
        inside[2 + 2 * axis], column[2 + 2 * axis] = place < shape[axis] - 1, cells + stride
    position = np.flatnonzero(inside)
    rows, columns = position % size, column.ravel()[position]
    order = np.lexsort((columns, rows))
    indptr = np.concatenate([[0], np.cumsum(np.bincount(rows, minlength=size))])
    pattern = Pattern(indptr.astype(np.int32), columns[order].astype(np.int32))
    gather = position[order]
    for array in (pattern.indptr, pattern.indices, gather):
        array.flags.writeable = False
    return pattern, gather
