from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal

import numpy as np
from pydantic import Field

from ritz.compute.kind import Source
from ritz.compute.solvers.operators import Operators, Stencil
from ritz.compute.solvers.preconditioners.preconditioner import Preconditioner

if TYPE_CHECKING:
    from ritz.compute.solvers.preconditioners.inverse import ApproximateInverse


ON_GRIDS, ELSEWHERE = 1.7, 1.2
"""Relaxations that take at most 1.16 times the work of the best on the shipped families, where 1 takes up to 3.4 times;
see ``benchmarks/tuned.txt``. Many points across want a relaxation near 2, neighbours in no order one near 1."""


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
    omega: float | None = Field(default=None, gt=0, lt=2)
    """Relaxation; 1 is symmetric Gauss–Seidel. By default 1.7 on grids in two and three dimensions, 1.2 elsewhere."""

    def relaxation(self, operators: Operators) -> float:
        """Return the relaxation for such operators."""
        if self.omega is not None:
            return self.omega
        return ON_GRIDS if isinstance(operators, Stencil) and len(operators.shape) > 1 else ELSEWHERE

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

        pivots = operators.diagonal(i).ravel() / self.relaxation(operators)
        if has_sweeps(operators):
            return stencil_split(operators, i, pivots)
        about = layout(operators.pattern)
        check(pivots, i)
        factors = np.array(operators.entries(i))
        factors[about.below] /= pivots[about.indices[about.below]]
        factors[about.diagonal] = pivots
        return pattern_split(operators, i, operators.pattern, factors)
