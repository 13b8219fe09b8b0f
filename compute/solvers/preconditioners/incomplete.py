from __future__ import annotations

import numpy as np

from ritz.compute.solvers.operators import Operators, Stencil
from ritz.compute.solvers.preconditioners.preconditioner import Preconditioner
from ritz.compute.solvers.preconditioners.sweeps import pattern_sweeps, stencil_sweeps
from ritz.compute.solvers.preconditioners.sweeps.splitting import (
    coefficients,
    grid,
    has_sweeps,
    layout,
    pattern_split,
    stencil_split,
)


def ilu(operators: Operators, i: int) -> Preconditioner:
    """Incomplete LU factorisation ILU(0) of one operator, as its approximate inverse.

    The factors have the pattern of the matrix and are those of Gaussian elimination in which every entry outside of
    it is dropped. Two neighbours of a cell of a grid are never neighbours of each other, so for a `Stencil`
    elimination changes the diagonal only: ``M = (D + L) D⁻¹ (D + U)`` with
    ``D = diag(A) − Σ (lower couplings)(their transposes) / D`` of the lower neighbours.

    Parameters
    ----------
    operators, i
        The matrix is operator ``i``.

    Returns
    -------
    Preconditioner
        Applies ``M⁻¹`` to vectors and blocks.

    Raises
    ------
    FloatingPointError
        If a pivot is zero or not finite.
    ValueError
        If the pattern lacks an entry of the diagonal.

    Notes
    -----
    Source: J. A. Meijerink, H. A. van der Vorst, Math. Comp. 31 (1977).
    """
    if has_sweeps(operators):
        return stencil_split(operators, i, _stencil_pivots(operators, i))
    return pattern_split(operators, i, _factors(operators, i))


def icc(operators: Operators, i: int) -> Preconditioner:
    """Incomplete Cholesky factorisation ICC(0) of one real symmetric operator, as its approximate inverse.

    ``M = L D⁻¹ Lᵀ`` is the same matrix as that of `ilu`, but known to be positive definite, as conjugate gradients
    need it.

    Parameters
    ----------
    operators, i
        The matrix is operator ``i``.

    Returns
    -------
    Preconditioner
        Applies ``M⁻¹`` to vectors and blocks.

    Raises
    ------
    FloatingPointError
        If a pivot is not positive or not finite; that happens to definite matrices too, but not to M-matrices.
    ValueError
        If the operators are complex or not symmetric, or the pattern lacks an entry of the diagonal.
    """
    if operators.dtype.kind == "c" or not operators.symmetric:
        raise ValueError(
            f"ICC(0) needs real symmetric operators, these are {operators.dtype} and "
            f"{'' if operators.symmetric else 'not '}symmetric: use ilu"
        )
    if has_sweeps(operators):
        pivots = _stencil_pivots(operators, i)
        _check_positive(pivots, i)
        return stencil_split(operators, i, pivots)
    factors = _factors(operators, i)
    _check_positive(factors[layout(operators.pattern).diagonal], i)
    return pattern_split(operators, i, factors)


def _stencil_pivots(operators: Stencil, i: int) -> np.ndarray:
    return stencil_sweeps.pivots(coefficients(operators, i), grid(operators.shape), len(operators.shape))


def _factors(operators: Operators, i: int) -> np.ndarray:
    about = layout(operators.pattern)
    entries = np.require(operators.entries(i), requirements=["C", "W"])
    return pattern_sweeps.factor(entries, about.indptr, about.indices, about.diagonal)


def _check_positive(pivots: np.ndarray, i: int) -> None:
    if not (pivots > 0).all():
        raise FloatingPointError(f"incomplete Cholesky factorisation of operator {i} has a pivot that is not positive")
