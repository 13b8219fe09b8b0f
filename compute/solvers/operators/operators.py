from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import scipy

from ritz.compute.solvers.scaling import magnitude


@dataclass(frozen=True, eq=False)
class Pattern:
    """Where the entries of a sparse matrix lie, shared by all systems of a family.

    Compared and hashed by identity, so work that depends on the pattern only (an elimination order, a
    splitting in triangles) is done once for the object and found again.

    Attributes
    ----------
    indptr, indices
        As in `scipy.sparse.csr_array`, int32, column indices sorted within a row.
    """

    indptr: np.ndarray
    indices: np.ndarray

    @property
    def size(self) -> int:
        """Number of unknowns."""
        return len(self.indptr) - 1

    def rows(self) -> np.ndarray:
        """Return the row of every entry."""
        return np.repeat(np.arange(self.size, dtype=self.indices.dtype), np.diff(self.indptr))

    def matrix(self, entries: np.ndarray) -> scipy.sparse.csr_array:
        """Return the sparse matrix with these entries; its index arrays are shared, so do not change them."""
        return scipy.sparse.csr_array((entries, self.indices, self.indptr), shape=(self.size, self.size))


class Operators(ABC):
    """A batch of linear operators of one size, one per system, that share a sparsity pattern.

    A subclass says how its entries are stored; solvers need no more than these methods. Vectors come and go
    with the shape ``shape`` of the unknowns or flat, in C order.
    """

    shape: tuple[int, ...]
    """Shape of the unknowns of one system."""

    pattern: Pattern
    """Where the entries lie."""

    symmetric: bool
    """Whether every operator equals its transpose."""

    definite: bool
    """Whether the symmetric part of every operator is known to be positive definite."""

    @property
    @abstractmethod
    def constant(self) -> bool:
        """Whether all operators are known to be one matrix."""

    @property
    @abstractmethod
    def dtype(self) -> np.dtype:
        """Dtype of the entries: float64 or complex128."""

    @abstractmethod
    def __len__(self) -> int:
        """Return the number of systems."""

    @abstractmethod
    def take(self, index: slice | np.ndarray) -> Operators:
        """Return some of the operators, in the given order."""

    @abstractmethod
    def entries(self, i: int) -> np.ndarray:
        """Return the values of operator ``i`` in the order of the pattern."""

    @abstractmethod
    def diagonal(self, i: int) -> np.ndarray:
        """Return the diagonal of operator ``i``, shape ``shape``."""

    @abstractmethod
    def matvec(self, i: int, x: np.ndarray) -> np.ndarray:
        """Apply operator ``i`` to a vector; the result has the shape of ``x``."""

    @abstractmethod
    def transposed(self) -> Operators:
        """Return the transposes ``Aᵀ``, also of complex operators: ``Σ (Ax) y = Σ x (Aᵀy)``, nothing is conjugated.

        The adjoint is its conjugate: ``Aᴴy = conj(Aᵀ conj(y))``.
        """

    @abstractmethod
    def scaled(self, powers: np.ndarray) -> Operators:
        """Return the operators times ``2ᵖ``, ``p`` ``(n,)`` whole numbers; constant ones take one for all."""

    def magnitude(self, i: int) -> float:
        """Return the largest modulus of an entry of operator ``i``; see `ritz.compute.solvers.scaling`."""
        return magnitude(self.entries(i))

    @cached_property
    def magnitudes(self) -> np.ndarray:
        """The largest modulus of an entry of every operator, ``(n,)``; found once, as operators may come again."""
        count = len(self)
        if self.constant and count:
            return np.full(count, self.magnitude(0))
        return np.array([self.magnitude(i) for i in range(count)])

    def residual(self, i: int, x: np.ndarray, rhs: np.ndarray) -> tuple[float, float]:
        """Return ``‖b − A_i x‖`` and ``‖b‖``, in double precision; infinite or zero where squares leave the range."""
        with np.errstate(over="ignore", under="ignore", invalid="ignore"):
            return float(np.linalg.norm(rhs - self.matvec(i, x))), float(np.linalg.norm(rhs))

    def residuals(self, x: np.ndarray, rhs: np.ndarray, rows: Sequence[int]) -> tuple[np.ndarray, np.ndarray]:
        """Return `residual` of some systems, ``(len(rows),)`` each, for ``x`` and ``rhs`` of all, ``(n, *shape)``.

        Operators that lie on a device do this there, with arrays of their library.
        """
        norms = [self.residual(i, x[i].ravel(), rhs[i].ravel()) for i in rows]
        left, whole = np.array(norms, np.float64).reshape(-1, 2).T
        return left, whole

    def csr(self, i: int) -> scipy.sparse.csr_array:
        """Return operator ``i`` as a sparse matrix; its index arrays are shared, so do not change them."""
        return self.pattern.matrix(self.entries(i))
