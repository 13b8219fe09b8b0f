from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import scipy

from ritz.compute.solvers.operators.broadcast import is_broadcast, scaled, take
from ritz.compute.solvers.operators.matrix_residual import residual_squares
from ritz.compute.solvers.operators.operators import Operators, Pattern


@dataclass(frozen=True, eq=False)
class Matrices(Operators):
    """Sparse matrices on one pattern: unstructured meshes, periodic grids, systems of several fields.

    Attributes
    ----------
    values
        ``(n, entries)`` float64 or complex128, in the order of the pattern. One matrix for all systems is one
        row broadcast along the first axis (`numpy.broadcast_to`).
    pattern
        Where the entries lie. Make it once for a mesh and keep it (`Matrices.pattern_of`): what solvers know of
        a pattern is found again by the object.
    shape
        Shape of the unknowns of one system; their product is the size of the pattern.
    symmetric, definite
        As in `Operators`; believed, not checked.
    """

    values: np.ndarray
    pattern: Pattern
    shape: tuple[int, ...]
    symmetric: bool = False
    definite: bool = False

    def __post_init__(self) -> None:
        entries = len(self.pattern.indices)
        if self.values.ndim != 2 or self.values.shape[1] != entries:
            raise ValueError(f"values has shape {self.values.shape}, expected (n, {entries}), an entry of the pattern")
        if self.values.dtype not in (np.float64, np.complex128):
            raise ValueError(f"values has dtype {self.values.dtype}, expected float64 or complex128")
        if int(np.prod(self.shape)) != self.pattern.size:
            raise ValueError(f"shape is {self.shape}, expected {self.pattern.size} unknowns, as in the pattern")

    @staticmethod
    def pattern_of(matrix: scipy.sparse.sparray) -> Pattern:
        """Return the pattern of a sparse matrix; its entries in CSR order with sorted columns belong to it."""
        rows = scipy.sparse.csr_array(matrix, copy=True)
        rows.sum_duplicates()
        return Pattern(rows.indptr.astype(np.int32), rows.indices.astype(np.int32))

    @property
    def constant(self) -> bool:
        """Whether the values are one row, broadcast."""
        return is_broadcast(self.values)

    @property
    def dtype(self) -> np.dtype:
        """Dtype of the entries."""
        return self.values.dtype

    def __len__(self) -> int:
        """Return the number of systems."""
        return len(self.values)

    def take(self, index: slice | np.ndarray) -> Matrices:
        """Return some of the matrices, in the given order."""
        return Matrices(take(self.values, index), self.pattern, self.shape, self.symmetric, self.definite)

    def transposed(self) -> Matrices:
        """Return the transposes; see `Operators.transposed`."""
        if self.symmetric:
            return self
        pattern, places = _transposed(self.pattern)
        values = self.values[:1] if self.constant else self.values
        moved = np.broadcast_to(values[:, places], self.values.shape)
        return Matrices(moved, pattern, self.shape, self.symmetric, self.definite)

    def scaled(self, powers: np.ndarray) -> Matrices:
        """Return the matrices times powers of two; see `Operators.scaled`."""
        return Matrices(scaled(self.values, powers), self.pattern, self.shape, self.symmetric, self.definite)

    def entries(self, i: int) -> np.ndarray:
        """Return the values of matrix ``i`` in the order of the pattern."""
        result: np.ndarray = self.values[i]
        return result

    def diagonal(self, i: int) -> np.ndarray:
        """Return the diagonal of matrix ``i``, shape ``shape``."""
        values: np.ndarray = self.csr(i).diagonal().reshape(self.shape)
        return values

    def residual(self, i: int, x: np.ndarray, rhs: np.ndarray) -> tuple[float, float]:
        """Return ``‖b − A_i x‖`` and ``‖b‖``, in double precision."""
        left, whole = self._residuals(self.values[i : i + 1], x.reshape(1, -1), rhs.reshape(1, -1), [0])
        return float(left[0]), float(whole[0])

    def residuals(self, x: np.ndarray, rhs: np.ndarray, rows: Sequence[int]) -> tuple[np.ndarray, np.ndarray]:
        """Return ``‖b − A_i x‖`` and ``‖b‖`` of some systems; see `Operators.residuals`."""
        if not rows:
            return np.empty(0), np.empty(0)
        if not self.constant:
            count = len(self)
            return self._residuals(self.values, x.reshape(count, -1), rhs.reshape(count, -1), rows)
        # One by one: for a block SciPy wants it transposed, which takes longer than the product.
        matrix = self.csr(0)
        with np.errstate(over="ignore", under="ignore", invalid="ignore"):
            left = [np.linalg.norm(rhs[i].ravel() - matrix @ x[i].ravel()) for i in rows]
            return np.array(left), np.array([np.linalg.norm(rhs[i].ravel()) for i in rows])

    def _residuals(
        self, values: np.ndarray, x: np.ndarray, rhs: np.ndarray, rows: Sequence[int]
    ) -> tuple[np.ndarray, np.ndarray]:
        values, x, rhs = (np.ascontiguousarray(array) for array in (values, x, rhs))
        left, whole = np.empty((2, len(rows)))
        pattern = self.pattern
        residual_squares(values, pattern.indptr, pattern.indices, x, rhs, np.asarray(rows, dtype=int), left, whole)
        return np.sqrt(left), np.sqrt(whole)

    def matvec(self, i: int, x: np.ndarray) -> np.ndarray:
        """Apply matrix ``i`` to a vector; the result has the shape of ``x``."""
        values: np.ndarray = (self.csr(i) @ x.ravel()).reshape(x.shape)
        return values


@lru_cache(maxsize=16)
def _transposed(pattern: Pattern) -> tuple[Pattern, np.ndarray]:
    """Return the pattern of the transposes, itself where it is the same, and where their entries are in the others."""
    matrix = pattern.matrix(np.arange(len(pattern.indices)))
    turned = scipy.sparse.csr_array(matrix.T)
    turned.sort_indices()
    same = np.array_equal(turned.indptr, pattern.indptr) and np.array_equal(turned.indices, pattern.indices)
    if not same:
        pattern = Pattern(turned.indptr.astype(np.int32), turned.indices.astype(np.int32))
    return pattern, turned.data
