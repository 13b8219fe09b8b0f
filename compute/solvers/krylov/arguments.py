from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import scipy.sparse as sp
from scipy.sparse.linalg import LinearOperator, aslinearoperator


class System:
    """The checked arguments of a Krylov solve, its current iterate ``x`` and what has been done for it.

    Arguments are those of `compute.solvers.krylov.gcrodr`; each is checked and named in the ValueError raised.

    Attributes
    ----------
    size, dtype
        Number of unknowns, and the common floating-point type in which they are computed.
    b, x
        ``(size,)`` right-hand side and current iterate.
    norm, tolerance
        ‖b‖, and the norm of the residual that is wanted.
    zero
        Whether ``b`` is zero; ``x`` is the answer then, whatever the guess.
    iterations, matvecs
        Steps, and applications of ``A``, done so far.
    """

    def __init__(self, A: Any, b: Any, x0: Any, M: Any, rtol: float, atol: float) -> None:
        for name, matrix in (("A", A), ("M", M)):
            entries = matrix.data if sp.issparse(matrix) else matrix
            if isinstance(entries, np.ndarray) and not np.isfinite(entries).all():
                raise ValueError(f"{name} has entries that are NaN or infinite")
        for name, value in (("rtol", rtol), ("atol", atol)):
            if not 0 <= value < np.inf:
                raise ValueError(f"{name} is {value}, expected a finite number of at least 0")
        self.A: LinearOperator = aslinearoperator(A)
        if self.A.shape[0] != self.A.shape[1]:
            raise ValueError(f"A has shape {self.A.shape}, expected a square matrix")
        self.size: int = self.A.shape[0]
        self.M: LinearOperator | None = None if M is None else aslinearoperator(M)
        if self.M is not None and self.M.shape != self.A.shape:
            raise ValueError(f"M has shape {self.M.shape}, expected that of A, {self.A.shape}")
        self._product, self._inverse = _product(A, self.A), None if self.M is None else _product(M, self.M)
        b = np.asarray(b)
        types = [self.A.dtype, b.dtype] + ([] if self.M is None else [self.M.dtype])
        common = np.result_type(*types)
        self.dtype = np.dtype(common if common.char in "fdFD" else "D" if common.kind == "c" else "d")
        self.b = self._vector("b", b)
        if x0 is None:
            self.x = np.zeros(self.size, dtype=self.dtype)
        elif isinstance(x0, str):
            if x0 != "Mb":
                raise ValueError(f"x0 is {x0!r}, expected a vector, None or 'Mb'")
            self.x = self.precondition(self.b).copy()
        else:
            self.x = self._vector("x0", np.asarray(x0)).copy()
        self.norm = norm(self.b)
        self.tolerance = max(rtol * self.norm, atol)
        self.zero = self.norm == 0
        if self.zero:
            self.x = np.zeros_like(self.b)
        self.iterations = self.matvecs = 0

    def _vector(self, name: str, value: np.ndarray) -> np.ndarray:
        """Return an argument as a flat vector of the working type."""
        if value.shape not in ((self.size,), (self.size, 1)):
            raise ValueError(f"{name} has shape {value.shape}, expected ({self.size},) or ({self.size}, 1)")
        if np.iscomplexobj(value) and self.dtype.kind != "c":
            raise ValueError(f"{name} is complex, A and b are real")
        vector = value.astype(self.dtype, copy=False).ravel()
        if not np.isfinite(vector).all():
            raise ValueError(f"{name} has entries that are NaN or infinite")
        return vector

    def apply(self, v: np.ndarray) -> np.ndarray:
        """Return ``A v`` in the working type."""
        self.matvecs += 1
        return self._product(v).astype(self.dtype, copy=False)

    def precondition(self, v: np.ndarray) -> np.ndarray:
        """Return ``M v`` in the working type, or ``v`` itself without a preconditioner."""
        return v if self._inverse is None else self._inverse(v).astype(self.dtype, copy=False)

    def residual(self) -> np.ndarray:
        """Return ``b − A x`` as an array of its own; that costs a product with ``A`` unless ``x`` is zero."""
        return self.b - self.apply(self.x) if self.x.any() else self.b.copy()


def _product(matrix: Any, operator: LinearOperator) -> Callable[[np.ndarray], np.ndarray]:
    """Return the product with a vector; SciPy's operator around a matrix takes the slower product with a block."""
    if sp.issparse(matrix):
        return matrix.__matmul__
    return np.asarray(matrix).__matmul__ if isinstance(matrix, np.ndarray) else operator.matvec


def norm(x: np.ndarray) -> float:
    """Return the Euclidean norm; numpy's own costs as much as a matrix-vector product on small systems."""
    return math.sqrt(np.vdot(x, x).real)


def at_least_one(name: str, value: int) -> int:
    """Return an option that counts something, checked."""
    if value < 1:
        raise ValueError(f"{name} is {value}, expected at least 1")
    return int(value)


def limit(maxiter: int | None, size: int) -> int:
    """Return ``maxiter``, checked, or its default ``10 n``."""
    return 10 * size if maxiter is None else at_least_one("maxiter", maxiter)
