from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal

import numpy as np
from pydantic import Field

from ritz.compute.kind import Source
from ritz.compute.solvers.operators import Operators
from ritz.compute.solvers.preconditioners.preconditioner import Preconditioner

if TYPE_CHECKING:
    from ritz.compute.solvers.preconditioners.inverse import ApproximateInverse


class SSOR(Preconditioner):
    """Symmetric successive over-relaxation.

    ``M = (D/ω + L) (D/ω)⁻¹ (D/ω + U)``, up to the factor ω/(2 − ω) of the usual form, which changes no Krylov
    iterate.
    """

    sources: ClassVar[tuple[Source, ...]] = (
        Source(
            "D. J. Evans",
            "The use of pre-conditioning in iterative methods for solving linear equations with symmetric positive "
            "definite matrices",
            1968,
            "J. Inst. Math. Appl. 4",
        ),
    )

    kind: Literal["ssor"] = "ssor"
    omega: float = Field(default=1.0, gt=0, lt=2)
    """Relaxation; 1 is symmetric Gauss–Seidel."""

    def inverse(self, operators: Operators, i: int) -> ApproximateInverse:
        """Return what applies ``M⁻¹``; see `Preconditioner.inverse`.

        Raises
        ------
        ValueError
            If the pattern lacks an entry of the diagonal.
        FloatingPointError
            If the diagonal has a zero.
        """
        from ritz.compute.solvers.preconditioners.sweeps.splitting import (
            check,
            has_sweeps,
            layout,
            pattern_split,
            stencil_split,
        )

        pivots = operators.diagonal(i).ravel() / self.omega
        if has_sweeps(operators):
            return stencil_split(operators, i, pivots)
        about = layout(operators.pattern)
        check(pivots, i)
        factors = np.array(operators.entries(i))
        factors[about.below] /= pivots[about.indices[about.below]]
        factors[about.diagonal] = pivots
        return pattern_split(operators, i, operators.pattern, factors)
