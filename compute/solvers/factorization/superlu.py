from __future__ import annotations

import numpy as np
import scipy

from ritz.compute.solvers.factorization.analysis import Solve
from ritz.compute.solvers.operators import Operators, Pattern


class SuperLU:
    """LU factorisation in a minimum-degree order of ``Aᵀ + A``, with pivots from the diagonal.

    Source: X. S. Li, "An overview of SuperLU", ACM TOMS 31 (2005).
    """

    def __init__(self, pattern: Pattern, dtype: np.dtype) -> None:
        self.dtype, self.size = dtype, pattern.size
        rows, columns = pattern.rows(), pattern.indices
        # The order comes from factoring a diagonally dominant matrix that has the pattern.
        values = np.where(rows == columns, 1.0 + np.diff(pattern.indptr)[rows], -1.0)
        model = scipy.sparse.csc_array((values, columns, pattern.indptr), shape=(self.size, self.size))
        factor = scipy.sparse.linalg.splu(
            model, permc_spec="MMD_AT_PLUS_A", diag_pivot_thresh=0.0, options={"SymmetricMode": True}
        )
        place = factor.perm_c
        self.permutation = np.argsort(place)
        self.gather = np.lexsort((place[columns], place[rows]))
        indptr = np.concatenate([[0], np.cumsum(np.bincount(place[rows], minlength=self.size))])
        self.indptr, self.indices = indptr.astype(np.int32), place[columns][self.gather].astype(np.int32)

    def factor(self, entries: np.ndarray) -> Solve:
        """Factor one matrix; see `Analysis.factor`."""
        # A CSR matrix read as CSC is the transpose: solving with that one transposed needs no conversion.
        transposed = scipy.sparse.csc_array(
            (entries[self.gather], self.indices, self.indptr), shape=(self.size, self.size)
        )
        # On 5-point stencils of 64² to 256² SuperLU's own sizes of blocks take 1.5 to 2 times as long as these, in
        # space these take 2.5 times as long as its own: measured.
        narrow = len(self.indices) <= 6 * self.size
        blocks = {"relax": 20, "panel_size": 4} if narrow else {}
        factor = _splu(
            transposed, permc_spec="NATURAL", diag_pivot_thresh=0.0, options={"SymmetricMode": True}, **blocks
        )

        def solve(rhs: np.ndarray) -> np.ndarray:
            y = _solve(factor, rhs[self.permutation], self.dtype)
            x = np.empty_like(y)
            x[self.permutation] = y
            return x

        return solve


def partial_pivoting(operators: Operators, i: int) -> Solve:
    """Factor operator ``i`` with SuperLU's own column order and partial pivoting.

    Raises
    ------
    ZeroDivisionError
        If the matrix is singular.
    """
    factor = _splu(operators.csr(i).T)
    return lambda rhs: _solve(factor, rhs, operators.dtype)


def _splu(matrix: scipy.sparse.sparray, **options: object) -> scipy.sparse.linalg.SuperLU:
    try:
        return scipy.sparse.linalg.splu(matrix, **options)
    except RuntimeError as error:
        raise ZeroDivisionError(f"superlu: {error}") from error


def _solve(factor: scipy.sparse.linalg.SuperLU, rhs: np.ndarray, dtype: np.dtype) -> np.ndarray:
    """Solve with a factored transpose of a dtype; a real factor takes a complex right-hand side in two parts."""
    if np.iscomplexobj(rhs) and dtype.kind != "c":
        both: np.ndarray = factor.solve(rhs.real.copy(), "T") + 1j * factor.solve(rhs.imag.copy(), "T")
        return both
    values: np.ndarray = factor.solve(rhs.astype(dtype, copy=False), "T")
    return values
