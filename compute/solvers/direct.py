from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

import numpy as np
import scipy.sparse as sp
import scipy.sparse.linalg as spla

from compute.solvers.operators import Operators, Pattern
from compute.solvers.sequential import Attempt, Sequential, relative_residual

_REFINEMENTS = 2


class Direct(Sequential):
    """Sparse LU factorisation of every system with SuperLU.

    The elimination order depends on the sparsity pattern only: it is found once for a pattern (minimum degree
    on ``Aᵀ + A``) and reused for all systems. Pivots are first taken from the diagonal; where that does not
    reach the tolerance, not even with iterative refinement, the matrix is factored again with partial
    pivoting. ``iterations`` in the ledger counts refinement steps.

    Source: X. S. Li, "An overview of SuperLU", ACM TOMS 31 (2005).
    """

    kind: Literal["direct"] = "direct"

    def attempt(
        self, operators: Operators, i: int, rhs: np.ndarray, *, rtol: float, carry: None
    ) -> tuple[Attempt, None]:
        """Answer one system; see `Sequential.attempt`. There is nothing to carry."""
        best = Attempt(None, 0, 0, "breakdown")
        for factorize in (_diagonal_pivots, _partial_pivots):
            try:
                solve = factorize(operators, i)
            except RuntimeError:  # SuperLU: the factor is exactly singular
                continue
            x = solve(rhs)
            steps = 0
            while not (residual := relative_residual(operators, i, x, rhs)) <= rtol and steps < _REFINEMENTS:
                x = x + solve(rhs - operators.matvec(i, x))
                steps += 1
            reason = "" if residual <= rtol else "not_converged" if np.isfinite(residual) else "breakdown"
            best = Attempt(
                x if np.isfinite(residual) else None, best.iterations + steps, best.matvecs + 2 * steps + 1, reason
            )
            if not reason:
                break
        return best, carry


@dataclass(frozen=True)
class _Ordering:
    """An elimination order and the pattern of the matrix in it."""

    permutation: np.ndarray
    indptr: np.ndarray
    indices: np.ndarray
    gather: np.ndarray


@lru_cache(maxsize=16)
def _ordering(pattern: Pattern) -> _Ordering:
    """Find the elimination order of a pattern by factoring a diagonally dominant matrix that has it."""
    rows, columns, size = pattern.rows(), pattern.indices, pattern.size
    values = np.where(rows == columns, 1.0 + np.diff(pattern.indptr)[rows], -1.0)
    model = sp.csc_array((values, columns, pattern.indptr), shape=(size, size))
    factor = spla.splu(model, permc_spec="MMD_AT_PLUS_A", diag_pivot_thresh=0.0, options={"SymmetricMode": True})
    place = factor.perm_c
    order = np.lexsort((place[columns], place[rows]))
    indptr = np.concatenate([[0], np.cumsum(np.bincount(place[rows], minlength=size))])
    return _Ordering(np.argsort(place), indptr.astype(np.int32), place[columns][order].astype(np.int32), order)


def _diagonal_pivots(operators: Operators, i: int) -> Callable[[np.ndarray], np.ndarray]:
    """Factor in the order of the pattern, pivots from the diagonal."""
    ordering = _ordering(operators.pattern)
    size = operators.pattern.size
    # A CSR matrix read as CSC is the transpose: solving with that one transposed needs no conversion.
    transposed = sp.csc_array(
        (operators.entries(i)[ordering.gather], ordering.indices, ordering.indptr), shape=(size, size)
    )
    # relax and panel_size: measured best for grids of 64² to 256²; SuperLU's own settings take 1.5 to 2 times.
    factor = spla.splu(
        transposed,
        permc_spec="NATURAL",
        diag_pivot_thresh=0.0,
        relax=20,
        panel_size=4,
        options={"SymmetricMode": True},
    )
    permutation = ordering.permutation

    def solve(rhs: np.ndarray) -> np.ndarray:
        y = _solve(factor, rhs[permutation], operators.dtype)
        x = np.empty_like(y)
        x[permutation] = y
        return x

    return solve


def _partial_pivots(operators: Operators, i: int) -> Callable[[np.ndarray], np.ndarray]:
    """Factor with SuperLU's own column order and partial pivoting."""
    factor = spla.splu(operators.csr(i).T)
    return lambda rhs: _solve(factor, rhs, operators.dtype)


def _solve(factor: spla.SuperLU, rhs: np.ndarray, dtype: np.dtype) -> np.ndarray:
    """Solve with a factored transpose of a dtype; a real factor takes a complex right-hand side in two parts."""
    if np.iscomplexobj(rhs) and dtype.kind != "c":
        return factor.solve(rhs.real.copy(), "T") + 1j * factor.solve(rhs.imag.copy(), "T")
    return factor.solve(rhs.astype(dtype, copy=False), "T")
