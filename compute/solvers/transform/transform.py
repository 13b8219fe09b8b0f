from __future__ import annotations

from typing import ClassVar, Literal

import numpy as np
import scipy
from pydantic import Field

from ritz.compute.kind import Source, in_units
from ritz.compute.solvers.expectation import extent, passes
from ritz.compute.solvers.iterative.composed import MARGIN, reason
from ritz.compute.solvers.operators import Stencil
from ritz.compute.solvers.sequential import Sequential
from ritz.compute.solvers.solver import Attempt
from ritz.compute.solvers.systems import Systems
from ritz.compute.solvers.transform.separable import Separable

_EXACTLY = 3e-8
"""Seconds per unknown of a direct solve of one system."""

_LOOKED_AT = 5
"""Operators whose coefficients are looked at: one may be far from the others."""


class Transform(Sequential):
    """Fast sine and cosine transforms: a direct solver for constant coefficients, a preconditioner for others.

    Cell-centred stencils with constant coefficients and a Dirichlet or Neumann wall on each side are diagonal in
    products of sines and cosines (DST-II, DCT-II, and the transforms of type IV where the two walls of an axis
    differ); along the first axis of a definite one tridiagonal systems are solved instead. Where the coefficients
    vary, the stencil of their means is the preconditioner: of conjugate gradients if the systems are symmetric and
    both are definite, of GMRES otherwise. ``iterations`` in the ledger counts theirs, 0 for a direct solve.

    Sources: G. Strang, "The discrete cosine transform", SIAM Review 41 (1999); P. Concus, G. Golub, "Use of fast
    direct methods for the efficient numerical solution of nonseparable elliptic equations", SIAM J. Numer.
    Anal. 10 (1973).
    """

    sources: ClassVar[tuple[Source, ...]] = (
        Source("G. Strang", "The discrete cosine transform", 1999, "SIAM Review 41"),
        Source(
            "P. Concus, G. Golub",
            "Use of fast direct methods for the efficient numerical solution of nonseparable elliptic equations",
            1973,
            "SIAM J. Numer. Anal. 10",
        ),
    )

    kind: Literal["transform"] = "transform"
    restart: int = Field(default=60, ge=2, le=1000, json_schema_extra=in_units("vectors"))
    """Dimension of the Krylov space of one cycle of GMRES."""
    maxiter: int = Field(default=300, ge=1, le=100_000, json_schema_extra=in_units("iterations"))
    """Iterations after which a system is given up."""

    def unfit(self, systems: Systems) -> str:
        """Return what keeps it from solving such systems; see `Solver.unfit`."""
        if not isinstance(systems.operators, Stencil):
            return "transforms need stencils on a grid"
        if systems.operators.dtype.kind == "c":
            return "transforms need real operators"
        return ""

    def expected(self, systems: Systems) -> float | None:
        """Estimate the seconds per system; see `Solver.expected`."""
        operators = systems.operators
        if not isinstance(operators, Stencil):
            return None
        unknowns = extent(operators).unknowns
        if Separable.of(operators.coefficients[0]).exact:
            return unknowns * (1.2e-8 if operators.constant else _EXACTLY)
        iterations = np.mean([_concus_golub(operators, i) for i in range(min(len(operators), _LOOKED_AT))])
        # Measured: GMRES takes about four times as many where systems are indefinite or not symmetric.
        more = 1 if operators.symmetric and operators.definite else 4
        return float(unknowns * _step(operators) * more * iterations)

    def together(self, systems: Systems) -> np.ndarray | None:
        """Answer all systems at once if they share constant coefficients; see `Sequential.together`."""
        operators = systems.operators
        if not operators.constant or not isinstance(operators, Stencil) or self.unfit(systems) or len(systems) < 2:
            return None
        model = Separable.of(operators.coefficients[0])
        return model.inverse()(systems.rhs) if model.exact and model.regular else None

    def attempt(self, systems: Systems, i: int, *, rtol: float, carry: None) -> tuple[Attempt, None]:
        """Answer one system; see `Sequential.attempt`. There is nothing to carry."""
        operators, rhs = systems.operators, systems.rhs[i]
        assert isinstance(operators, Stencil)
        model = Separable.of(operators.coefficients[i])
        if not model.regular:
            return Attempt(None, 0, 0, "breakdown", work=0.0), carry
        if model.exact:
            return Attempt(model.inverse()(rhs).ravel(), 0, 0, work=passes(_EXACTLY, 1)), carry
        from ritz.compute.solvers import krylov

        size = rhs.size
        counts = {"A": 0, "M": 0}
        inverse = model.inverse()

        def product(x: np.ndarray) -> np.ndarray:
            counts["A"] += 1
            return operators.matvec(i, x.ravel())

        def approximate(x: np.ndarray) -> np.ndarray:
            counts["M"] += 1
            return inverse(x.reshape(rhs.shape)).ravel()

        dtype = np.result_type(operators.dtype, rhs.dtype)
        A = scipy.sparse.linalg.LinearOperator((size, size), matvec=product, dtype=dtype)
        M = scipy.sparse.linalg.LinearOperator((size, size), matvec=approximate, dtype=dtype)
        x0 = None if systems.guess is None else systems.guess[i].ravel()
        if operators.symmetric and operators.definite and model.definite:
            x, info = krylov.cg(A, rhs.ravel(), x0, rtol=MARGIN * rtol, maxiter=self.maxiter, M=M)
        else:
            cycles = -(-self.maxiter // self.restart)
            x, info = krylov.gmres(A, rhs.ravel(), x0, rtol=MARGIN * rtol, restart=self.restart, maxiter=cycles, M=M)
        work = counts["M"] * passes(_step(operators), 1)
        return Attempt(x, counts["M"], counts["A"], reason(info), work=work), carry


def _step(operators: Stencil) -> float:
    """Return the seconds per unknown of an iteration with transforms as preconditioner."""
    if not (operators.symmetric and operators.definite):
        return 4.5e-8
    return 3.5e-8 if extent(operators).solid else 1.8e-8


def _concus_golub(operators: Stencil, i: int) -> float:
    """Bound the iterations with a constant stencil as preconditioner by how far its diagonal is from a multiple.

    For diffusion the quotients of the operators' quadratic forms lie between the smallest and the largest quotient
    of their coefficients, so the bound of conjugate gradients with that condition number holds (P. Concus,
    G. Golub, 1973).
    """
    ratio = operators.diagonal(i) / Separable.of(operators.coefficients[i]).diagonal
    least, most = float(ratio.min()), float(ratio.max())
    if not 0 < least <= most < np.inf:
        return np.inf
    root = np.sqrt(most / least)
    return float(np.log(2e8) / np.log((root + 1) / (root - 1))) if root > 1 else 1.0
