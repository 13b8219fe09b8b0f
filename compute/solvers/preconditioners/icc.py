from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import Field

from ritz.compute.kind import Source, in_units
from ritz.compute.solvers.operators import Operators
from ritz.compute.solvers.preconditioners.preconditioner import Preconditioner

if TYPE_CHECKING:
    from ritz.compute.solvers.preconditioners.inverse import ApproximateInverse


class ICC(Preconditioner):
    """Incomplete Cholesky factorisation by level of fill, ICC(k), of real symmetric operators.

    ``M = L D⁻¹ Lᵀ`` is the same matrix as that of `ILU`, but known to be positive definite, as conjugate gradients
    need it.
    """

    sources: ClassVar[tuple[Source, ...]] = (
        Source(
            "J. A. Meijerink, H. A. van der Vorst",
            "An iterative solution method for linear systems of which the coefficient matrix is a symmetric M-matrix",
            1977,
            "Math. Comp. 31",
        ),
    )

    kind: Literal["icc"] = "icc"
    fill: int = Field(default=0, ge=0, le=20, json_schema_extra=in_units("levels"))
    """Levels of fill: more take fewer iterations, more time for each, and more memory."""

    def unfit(self, operators: Operators) -> str:
        """Return what keeps it from preconditioning such operators; see `Preconditioner.unfit`."""
        if operators.dtype.kind == "c" or not operators.symmetric:
            return (
                f"ICC needs real symmetric operators, these are {operators.dtype} and "
                f"{'' if operators.symmetric else 'not '}symmetric: use ilu"
            )
        return ""

    def inverse(self, operators: Operators, i: int) -> ApproximateInverse:
        """Return what applies ``M⁻¹``; see `Preconditioner.inverse`.

        Raises
        ------
        FloatingPointError
            If a pivot is not positive or not finite; that happens to definite matrices too, but not to M-matrices.
        ValueError
            If the pattern lacks an entry of the diagonal.
        """
        from ritz.compute.solvers.preconditioners.sweeps.incomplete import factored

        factors = factored(operators, i, self.fill)
        if not (factors.pivots > 0).all():
            raise FloatingPointError(
                f"incomplete Cholesky factorisation of operator {i} has a pivot that is not positive"
            )
        return factors.inverse()
