from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import Field

from ritz.compute.kind import Source, in_units
from ritz.compute.solvers.operators import Operators
from ritz.compute.solvers.preconditioners.preconditioner import Preconditioner

if TYPE_CHECKING:
    from ritz.compute.solvers.preconditioners.inverse import ApproximateInverse


class ILU(Preconditioner):
    """Incomplete LU factorisation by level of fill, ILU(k).

    The factors are those of Gaussian elimination in which every entry is dropped that would come of more than ``fill``
    eliminations in a row; with none of them the factors have the pattern of the matrix. Two neighbours of a cell of a
    grid are never neighbours of each other, so for a `Stencil` ILU(0) changes the diagonal only:
    ``M = (D + L) D⁻¹ (D + U)`` with ``D = diag(A) − Σ (lower couplings)(their transposes) / D`` of the lower
    neighbours.
    """

    sources: ClassVar[tuple[Source, ...]] = (
        Source(
            "J. A. Meijerink, H. A. van der Vorst",
            "An iterative solution method for linear systems of which the coefficient matrix is a symmetric M-matrix",
            1977,
            "Math. Comp. 31",
        ),
        Source("Y. Saad", "Iterative Methods for Sparse Linear Systems", 2003, "SIAM, section 10.3"),
    )

    kind: Literal["ilu"] = "ilu"
    fill: int = Field(default=0, ge=0, le=20, json_schema_extra=in_units("levels"))
    """Levels of fill: more take fewer iterations, more time for each, and more memory."""

    def inverse(self, operators: Operators, i: int) -> ApproximateInverse:
        """Return what applies ``M⁻¹``; see `Preconditioner.inverse`.

        Raises
        ------
        FloatingPointError
            If a pivot is zero or not finite.
        ValueError
            If the pattern lacks an entry of the diagonal.
        """
        from ritz.compute.solvers.preconditioners.sweeps.incomplete import factored

        return factored(operators, i, self.fill).inverse()
