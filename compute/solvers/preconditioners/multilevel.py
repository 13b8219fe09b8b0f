from __future__ import annotations

from typing import Literal

import numpy as np
import scipy

from ritz.compute.solvers.operators import Operators
from ritz.compute.solvers.preconditioners.preconditioner import Preconditioner


def amg(
    operators: Operators, i: int, method: Literal["ruge-stuben", "smoothed-aggregation"] = "ruge-stuben"
) -> Preconditioner:
    """One V-cycle of algebraic multigrid of one operator, as its approximate inverse.

    The hierarchy is pyamg's with its own settings, set up anew for every operator: classical coarsening, or smoothed
    aggregation. Symmetric Gauss–Seidel smooths on both sides, so that a symmetric definite operator has a symmetric
    definite preconditioner.

    Parameters
    ----------
    operators, i
        The matrix is operator ``i``; meant for those that come from elliptic equations.
    method
        How levels are made.

    Returns
    -------
    Preconditioner
        Applies the cycle to vectors and blocks.

    Raises
    ------
    ImportError
        If pyamg is not installed; it comes with the extra ``ritz[amg]``.
    """
    try:
        import pyamg
    except ImportError as error:
        raise ImportError("preconditioner amg needs pyamg: install ritz[amg]") from error
    # pyamg changes the index arrays it is given in place, and these are shared by a family.
    matrix = scipy.sparse.csr_matrix(operators.csr(i), copy=True)
    if method == "ruge-stuben":
        levels = pyamg.ruge_stuben_solver(matrix)
    else:
        symmetry = "symmetric" if operators.symmetric else "nonsymmetric"
        levels = pyamg.smoothed_aggregation_solver(matrix, symmetry=symmetry)
    cycle = levels.aspreconditioner(cycle="V")
    return Preconditioner(lambda v: np.asarray(cycle @ v), operators, i)
