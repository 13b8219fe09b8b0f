"""Inverses of ``(D + L) D⁻¹ (D + U)`` and of ``L U``, by compiled triangular sweeps."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import TypeGuard

import numpy as np

from ritz.compute.solvers.operators import Operators, Pattern, Stencil
from ritz.compute.solvers.preconditioners.inverse import ApproximateInverse
from ritz.compute.solvers.preconditioners.sweeps import pattern_sweeps, stencil_sweeps
from ritz.compute.solvers.preconditioners.work import FACTOR, SPLIT, row_by_row


@dataclass(frozen=True, eq=False)
class Layout:
    """A pattern as the compiled sweeps want it.

    Attributes
    ----------
    indptr, indices
        As in the pattern.
    diagonal
        Places of the diagonal entries.
    below
        Places of the entries below the diagonal.
    """

    indptr: np.ndarray
    indices: np.ndarray
    diagonal: np.ndarray
    below: np.ndarray


@lru_cache(maxsize=16)
def layout(pattern: Pattern) -> Layout:
    """Return what the sweeps need to know of a pattern.

    Raises
    ------
    ValueError
        If a row has no entry on the diagonal.
    """
    rows = pattern.rows()
    diagonal = np.flatnonzero(pattern.indices == rows)
    if len(diagonal) != pattern.size:
        raise ValueError("a matrix without all entries of its diagonal has no splitting: add the missing zeros")
    # Copies: a pattern may be read-only, which compiled code takes for another type and compiles again.
    below = np.flatnonzero(pattern.indices < rows)
    return Layout(pattern.indptr.copy(), pattern.indices.copy(), diagonal, below)


def has_sweeps(operators: Operators) -> TypeGuard[Stencil]:
    """Whether operators are stencils for which the sweeps are compiled: real ones.

    Complex ones are rare; compiling for them would take longer than what it saves in most runs.
    """
    return isinstance(operators, Stencil) and operators.dtype.kind != "c"


def stencil_split(operators: Stencil, i: int, pivots: np.ndarray, made: float = SPLIT) -> ApproximateInverse:
    """Return the inverse of ``(D + L) D⁻¹ (D + U)`` with the off-diagonal triangles of a stencil.

    Parameters
    ----------
    operators, i
        The stencil, real.
    pivots
        ``(n,)`` diagonal of D.
    made
        Work of what was done so far, in passes.

    Raises
    ------
    FloatingPointError
        If a pivot is zero or not finite.
    """
    check(pivots, i)
    shape = grid(operators.shape)
    c = coefficients(operators, i)
    inverse = 1 / pivots
    lower, upper = c[1::2] * inverse, c[2::2] * inverse
    shift = c[0] - pivots

    def solve(v: np.ndarray) -> np.ndarray:
        t, s = np.empty_like(v), np.empty_like(v)
        stencil_sweeps.forward(lower, inverse, shape, v, t)
        stencil_sweeps.backward(upper, shape, t, s)
        return s

    def image(v: np.ndarray) -> np.ndarray:
        t, s = np.empty_like(v), np.empty_like(v)
        stencil_sweeps.forward(lower, inverse, shape, v, t)
        stencil_sweeps.backward(upper, shape, t, s)
        product = np.empty_like(v)
        stencil_sweeps.image(lower, pivots, shift, shape, t, s, product)
        return product

    return ApproximateInverse(solve, operators, i, image, made=made)


def pattern_split(operators: Operators, i: int, pattern: Pattern, factors: np.ndarray) -> ApproximateInverse:
    """Return the inverse of ``L U`` with factors on a pattern.

    Parameters
    ----------
    operators, i
        What it is for.
    pattern
        That of the operators, or one with more entries.
    factors
        ``(entries,)`` the strict lower triangle of L, whose diagonal is 1, and the upper triangle U.

    Raises
    ------
    FloatingPointError
        If a pivot is zero or not finite.
    """
    about = layout(pattern)
    indptr, indices, diagonal = about.indptr, about.indices, about.diagonal
    check(factors[diagonal], i)
    inverse = 1 / factors[diagonal]

    def solve(v: np.ndarray) -> np.ndarray:
        t, s = np.empty_like(v), np.empty_like(v)
        pattern_sweeps.forward(factors, indptr, indices, diagonal, v, t)
        pattern_sweeps.backward(factors, indptr, indices, diagonal, inverse, t, s)
        return s

    entries = len(indices) / max(pattern.size, 1)
    return ApproximateInverse(solve, operators, i, made=FACTOR * entries, applied=row_by_row(operators, entries))


def grid(shape: tuple[int, ...]) -> tuple[int, int, int]:
    """Return the shape of a grid with three axes."""
    nz, ny, nx = (1,) * (3 - len(shape)) + tuple(shape)
    return nz, ny, nx


def coefficients(operators: Stencil, i: int) -> np.ndarray:
    """Return the coefficients of a stencil as ``(1 + 2 axes, n)``, contiguous and writable."""
    c = operators.coefficients[i]
    return np.require(c.reshape(len(c), -1), requirements=["C", "W"])


def check(pivots: np.ndarray, i: int) -> None:
    """Refuse pivots that cannot be divided by."""
    if not (np.isfinite(pivots).all() and pivots.all()):
        raise FloatingPointError(f"preconditioner of operator {i} has a pivot that is zero or not finite")
