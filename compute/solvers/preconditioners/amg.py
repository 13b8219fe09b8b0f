from __future__ import annotations

from importlib.util import find_spec
from typing import TYPE_CHECKING, ClassVar, Literal

import numpy as np
import scipy

from ritz.compute.kind import Source
from ritz.compute.solvers.operators import Operators
from ritz.compute.solvers.preconditioners.preconditioner import Preconditioner

if TYPE_CHECKING:
    from ritz.compute.solvers.preconditioners.inverse import ApproximateInverse


class AMG(Preconditioner):
    """One V-cycle of algebraic multigrid, meant for operators that come from elliptic equations.

    The hierarchy is pyamg's with its own settings, set up anew for every operator. Symmetric Gauss–Seidel smooths on
    both sides, so that a symmetric definite operator has a symmetric definite preconditioner.
    """

    sources: ClassVar[tuple[Source, ...]] = (
        Source("J. W. Ruge, K. Stüben", "Algebraic multigrid", 1987, "Multigrid Methods, SIAM, chapter 4"),
        Source(
            "P. Vaněk, J. Mandel, M. Brezina",
            "Algebraic multigrid by smoothed aggregation for second and fourth order elliptic problems",
            1996,
            "Computing 56",
        ),
    )

    kind: Literal["amg"] = "amg"
    method: Literal["ruge-stuben", "smoothed-aggregation"] = "ruge-stuben"
    """How levels are made: classical coarsening, or smoothed aggregation."""

    def unfit(self, operators: Operators) -> str:
        """Return what has to be installed; see `Preconditioner.unfit`."""
        del operators
        return "" if find_spec("pyamg") else "preconditioner 'amg' needs pyamg: install ritz[amg]"

    def inverse(self, operators: Operators, i: int) -> ApproximateInverse:
        """Return what applies the cycle; see `Preconditioner.inverse`."""
        import pyamg

        from ritz.compute.solvers.preconditioners.inverse import ApproximateInverse
        from ritz.compute.solvers.preconditioners.work import CYCLE, HIERARCHY

        # pyamg changes the index arrays it is given in place, and these are shared by a family.
        matrix = scipy.sparse.csr_matrix(operators.csr(i), copy=True)
        if self.method == "ruge-stuben":
            levels = pyamg.ruge_stuben_solver(matrix)
        else:
            symmetry = "symmetric" if operators.symmetric else "nonsymmetric"
            levels = pyamg.smoothed_aggregation_solver(matrix, symmetry=symmetry)
        cycle = levels.aspreconditioner(cycle="V")
        return ApproximateInverse(lambda v: np.asarray(cycle @ v), operators, i, made=HIERARCHY, applied=CYCLE)
