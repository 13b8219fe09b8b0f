from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from ritz.compute.solvers.operators import Operators
from ritz.compute.solvers.preconditioners.preconditioner import Preconditioner

if TYPE_CHECKING:
    from ritz.compute.solvers.preconditioners.inverse import ApproximateInverse


class Jacobi(Preconditioner):
    """The diagonal of the operator."""

    kind: Literal["jacobi"] = "jacobi"

    def inverse(self, operators: Operators, i: int) -> ApproximateInverse:
        """Return what divides by the diagonal; see `Preconditioner.inverse`.

        Raises
        ------
        FloatingPointError
            If the diagonal has a zero.
        """
        from ritz.compute.solvers.preconditioners.inverse import ApproximateInverse
        from ritz.compute.solvers.preconditioners.sweeps.splitting import check
        from ritz.compute.solvers.preconditioners.work import row_by_row

        diagonal = operators.diagonal(i).ravel()
        check(diagonal, i)
        inverse = 1 / diagonal
        return ApproximateInverse(lambda v: inverse * v, operators, i, applied=row_by_row(operators, 1))
