from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import scipy.sparse as sp
import scipy.sparse.linalg as spla

from compute.solvers.operators import Operators, Pattern, Stencil


def ilu(operators: Operators, i: int) -> spla.LinearOperator:
    """Incomplete LU factorisation of one operator, as its approximate inverse.

    For a `Stencil` this is ILU(0) in the natural order of the cells. Two neighbours of a cell are never
    neighbours of each other, so elimination changes the diagonal only:
    ``M = (D + L) D⁻¹ (D + U)`` with ``D = diag(A) − Σ (lower couplings)(their transposes) / D`` of the lower
    neighbours, found diagonal by diagonal of the grid. Any other operator is factored by SuperLU's threshold
    ILU with about the entries of the matrix.

    Source: J. A. Meijerink, H. A. van der Vorst, Math. Comp. 31 (1977), method ICCG(0).

    Parameters
    ----------
    operators, i
        The matrix is operator ``i``.

    Returns
    -------
    LinearOperator
        Applies ``M⁻¹`` to vectors and blocks.

    Raises
    ------
    FloatingPointError
        If a pivot is zero or not finite.
    """
    if isinstance(operators, Stencil):
        return _split(operators, i, _pivots(operators, i))
    try:
        factor = spla.spilu(operators.csr(i).tocsc(), drop_tol=1e-2, fill_factor=2)
    except RuntimeError as error:
        raise FloatingPointError(f"incomplete LU of operator {i} has a zero pivot: {error}") from error
    return _operator(factor.solve, factor.shape[0], operators.dtype)


def ssor(operators: Operators, i: int, omega: float = 1.0) -> spla.LinearOperator:
    """Symmetric successive over-relaxation of one operator, as its approximate inverse.

    ``M = (D/ω + L) (D/ω)⁻¹ (D/ω + U)``, up to the factor ω/(2 − ω) of the usual form, which changes no Krylov
    iterate.

    Parameters
    ----------
    operators, i
        The matrix is operator ``i``.
    omega
        Relaxation, in ``(0, 2)``.

    Returns
    -------
    LinearOperator
        Applies ``M⁻¹`` to vectors and blocks.

    Raises
    ------
    ValueError
        If ``omega`` is out of range.
    FloatingPointError
        If the diagonal has a zero.
    """
    if not 0 < omega < 2:
        raise ValueError(f"omega is {omega}, expected a number between 0 and 2")
    return _split(operators, i, operators.diagonal(i).ravel() / omega)


def _split(operators: Operators, i: int, pivots: np.ndarray) -> spla.LinearOperator:
    """Return the inverse of ``(D + L) D⁻¹ (D + U)`` with D the pivots, L and U the triangles of the operator."""
    if not (np.isfinite(pivots).all() and pivots.all()):
        raise FloatingPointError(f"preconditioner of operator {i} has a pivot that is zero or not finite")
    pattern = operators.pattern
    size = pattern.size
    split = _upper(pattern)
    # The upper triangle in CSR is the transposed one in CSC, which is lower: SuperLU finds nothing to eliminate.
    entries = operators.entries(i)[split.keep]
    entries[split.indptr[:-1]] = pivots
    upper = _factor(sp.csc_array((entries, split.indices, split.indptr), shape=(size, size)))
    if operators.symmetric:
        forward = upper.solve
    else:
        lower = sp.tril(operators.csr(i), format="csc")
        lower.setdiag(pivots)
        forward = _factor(lower).solve

    def solve(rhs: np.ndarray) -> np.ndarray:
        if rhs.ndim == 2:  # SuperLU takes half as long again for a block as for its columns
            return np.array([solve(column) for column in rhs.T]).reshape(rhs.shape[::-1]).T
        y = forward(rhs)
        y *= pivots
        return upper.solve(y, "T")

    return _operator(solve, size, operators.dtype)


def _factor(triangle: sp.csc_array) -> spla.SuperLU:
    """Prepare fast solves with a lower triangle, which SuperLU takes over unchanged as its factor."""
    return spla.splu(
        triangle,
        permc_spec="NATURAL",
        diag_pivot_thresh=0.0,
        relax=1,
        panel_size=1,
        options={"SymmetricMode": True, "Equil": False},
    )


def _operator(solve: Callable[[np.ndarray], np.ndarray], size: int, dtype: np.dtype) -> spla.LinearOperator:
    """Wrap a solve that takes vectors and blocks of its own dtype; complex ones are done in two parts."""

    def apply(x: np.ndarray) -> np.ndarray:
        if np.iscomplexobj(x) and dtype.kind != "c":
            return solve(np.array(x.real)) + 1j * solve(np.array(x.imag))
        return solve(x.astype(dtype, copy=False))

    def vector(x: np.ndarray) -> np.ndarray:
        return apply(x.ravel())

    return spla.LinearOperator((size, size), matvec=vector, matmat=apply, dtype=dtype)


@dataclass(frozen=True)
class _Triangle:
    """Upper triangle of a pattern, diagonal first in each row, and which entries belong to it."""

    keep: np.ndarray
    indptr: np.ndarray
    indices: np.ndarray


@lru_cache(maxsize=16)
def _upper(pattern: Pattern) -> _Triangle:
    rows = pattern.rows()
    keep = np.flatnonzero(pattern.indices >= rows)
    indptr = np.concatenate([[0], np.cumsum(np.bincount(rows[keep], minlength=pattern.size))])
    indices = pattern.indices[keep]
    if not np.array_equal(indices[indptr[:-1]], np.arange(pattern.size)):
        raise ValueError("a matrix without all entries of its diagonal has no splitting: add the missing zeros")
    return _Triangle(keep, indptr.astype(np.int32), indices)


def _pivots(operators: Stencil, i: int) -> np.ndarray:
    """Return the pivots of ILU(0) of a stencil, flat."""
    c = operators.coefficients[i]
    shape = operators.shape
    fronts = _fronts(shape)
    pivots = np.ones(c[0].size, dtype=c.dtype)
    centre = c[0].ravel()[fronts.order]
    products = []
    for axis, before in enumerate(fronts.before):
        upward = np.zeros(shape, dtype=c.dtype)
        at = (slice(None),) * axis
        upward[(*at, slice(1, None))] = c[1 + 2 * axis][(*at, slice(1, None))] * c[2 + 2 * axis][(*at, slice(None, -1))]
        products.append((upward.ravel()[fronts.order], before))
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        for start, stop in zip(fronts.starts[:-1], fronts.starts[1:], strict=True):
            front = slice(start, stop)
            value = centre[front]
            for product, before in products:
                value = value - product[front] / pivots[before[front]]
            pivots[front] = value
    flat = np.empty_like(pivots)
    flat[fronts.order] = pivots
    return flat


@dataclass(frozen=True)
class _Fronts:
    """Cells of a grid sorted by the sum of their indices: those of one sum do not depend on each other.

    ``before[axis]`` is the place, in this order, of each cell's lower neighbour (of itself at a wall, where the
    coupling is zero).
    """

    order: np.ndarray
    starts: np.ndarray
    before: tuple[np.ndarray, ...]


@lru_cache(maxsize=32)
def _fronts(shape: tuple[int, ...]) -> _Fronts:
    sums = np.indices(shape).sum(axis=0)
    order = np.argsort(sums, axis=None, kind="stable")
    place = np.empty_like(order)
    place[order] = np.arange(order.size)
    starts = np.concatenate([[0], np.cumsum(np.bincount(sums.ravel()))])
    before = []
    for axis in range(len(shape)):
        lower = place.reshape(shape).copy()
        at = (slice(None),) * axis
        lower[(*at, slice(1, None))] = place.reshape(shape)[(*at, slice(None, -1))]
        before.append(lower.ravel()[order])
    return _Fronts(order, starts, tuple(before))
