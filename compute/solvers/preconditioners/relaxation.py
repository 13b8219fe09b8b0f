from __future__ import annotations

import numpy as np

from ritz.compute.solvers.operators import Operators
from ritz.compute.solvers.preconditioners.preconditioner import Preconditioner
from ritz.compute.solvers.preconditioners.sweeps.splitting import (
    check,
    has_sweeps,
    layout,
    pattern_split,
    stencil_split,
)


def jacobi(operators: Operators, i: int) -> Preconditioner:
    """Diagonal of one operator, as its approximate inverse.

    Parameters
    ----------
    operators, i
        The matrix is operator ``i``.

    Returns
    -------
    Preconditioner
        Divides vectors and blocks by the diagonal.

    Raises
    ------
    FloatingPointError
        If the diagonal has a zero.
    """
    diagonal = operators.diagonal(i).ravel()
    check(diagonal, i)
    inverse = 1 / diagonal
    return Preconditioner(lambda v: inverse * v, operators, i)


def ssor(operators: Operators, i: int, omega: float = 1.0) -> Preconditioner:
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
    Preconditioner
        Applies ``M⁻¹`` to vectors and blocks.

    Raises
    ------
    ValueError
        If ``omega`` is out of range, or the pattern lacks an entry of the diagonal.
    FloatingPointError
        If the diagonal has a zero.
    """
    if not 0 < omega < 2:
        raise ValueError(f"omega is {omega}, expected a number between 0 and 2")
    pivots = operators.diagonal(i).ravel() / omega
    if has_sweeps(operators):
        return stencil_split(operators, i, pivots)
    about = layout(operators.pattern)
    check(pivots, i)
    factors = np.array(operators.entries(i))
    factors[about.below] /= pivots[about.indices[about.below]]
    factors[about.diagonal] = pivots
    return pattern_split(operators, i, factors)
