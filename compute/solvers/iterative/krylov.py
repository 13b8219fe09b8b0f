from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field

from ritz.compute.kind import in_units
from ritz.compute.solvers.expectation import extent
from ritz.compute.solvers.iterative.composed import MARGIN, minimal_residual, preconditioned, reason
from ritz.compute.solvers.iterative.recycler import Recycler
from ritz.compute.solvers.preconditioners.catalogue import AnyPreconditioner
from ritz.compute.solvers.preconditioners.icc import ICC
from ritz.compute.solvers.preconditioners.ilu import ILU
from ritz.compute.solvers.preconditioners.ssor import SSOR
from ritz.compute.solvers.sequential import Sequential
from ritz.compute.solvers.solver import Attempt, Solver
from ritz.compute.solvers.systems import Systems

if TYPE_CHECKING:
    from ritz.compute.solvers.preconditioners.inverse import ApproximateInverse


class Krylov(Sequential):
    """A preconditioned Krylov method that answers every system by itself; there is nothing to carry.

    See `ritz.compute.solvers.krylov` for the methods and their sources.
    """

    kind: Literal["krylov"] = "krylov"
    method: Literal["cg", "bicgstab", "gmres"] = "gmres"
    """Conjugate gradients for real symmetric definite operators, the others for any."""
    preconditioner: AnyPreconditioner = ILU()
    """Made anew for every system; see `ritz.compute.solvers.preconditioners.catalogue`. With ``cg`` it has to be
    symmetric definite, as all of them are for M-matrices."""
    restart: int = Field(default=50, ge=1, le=1000, json_schema_extra=in_units("vectors"))
    """Steps in a cycle of GMRES; the other methods do without."""
    maxiter: int = Field(default=5000, ge=1, le=10_000_000, json_schema_extra=in_units("iterations"))
    """Iterations after which a system is given up and handed to the direct solver; in GMRES whole cycles are done."""

    def unfit(self, systems: Systems) -> str:
        """Return what keeps it from solving such systems; see `Solver.unfit`."""
        operators = systems.operators
        if self.method == "cg" and not (operators.symmetric and operators.definite and operators.dtype.kind != "c"):
            return "method 'cg' needs real symmetric positive definite operators"
        return self.preconditioner.unfit(operators)

    @classmethod
    def candidates_of(cls) -> tuple[Solver, ...]:
        """Return each method with the preconditioner that suits most; see `Solver.candidates_of`."""
        return cls(method="cg", preconditioner=ICC()), cls(method="bicgstab"), cls()

    def expected(self, systems: Systems) -> float | None:
        """Estimate the seconds per system; see `Solver.expected`."""
        operators = systems.operators
        if self.preconditioner not in (ILU(), ICC(), SSOR()):
            return None
        unknowns, solid, grown = extent(operators)
        per_unknown = 5e-6 if self.method == "gmres" else 2.2e-6
        if solid:
            # Indefinite systems are another matter: some converge, some never do.
            return float(unknowns * (8e-7 if operators.definite else 3 * per_unknown) * grown ** (1 / 3))
        if operators.definite and not operators.symmetric:
            return float(unknowns * 1.2 * per_unknown * max(grown, 0.6) ** 0.5)
        return float(unknowns * (per_unknown if operators.definite else 1e-4) * grown**0.5)

    def attempt(self, systems: Systems, i: int, *, rtol: float, carry: Any) -> tuple[Attempt, Any]:
        """Answer one system; see `Sequential.attempt`."""
        operators = systems.operators
        try:
            M = self.preconditioner.inverse(operators, i)
        except FloatingPointError:
            return Attempt(None, 0, 0, "breakdown", work=0.0), carry
        if self.method == "gmres":
            cycles = -(-self.maxiter // self.restart)
            attempt = minimal_residual(
                systems, i, M, rtol=rtol, restart=self.restart, recycle=0, maxiter=cycles, recycler=Recycler()
            )
        else:
            attempt = self._short_recurrence(systems, i, M, rtol)
        return attempt, carry

    def _short_recurrence(self, systems: Systems, i: int, M: ApproximateInverse | None, rtol: float) -> Attempt:
        from ritz.compute.solvers.krylov import biconjugate_gradients, conjugate_gradients
        from ritz.compute.solvers.krylov.arguments import System, attempted

        guess = None if systems.guess is None else systems.guess[i].ravel()
        system = System(systems.operators.csr(i), systems.rhs[i].ravel(), guess, M, MARGIN * rtol, 0.0)
        iterate = conjugate_gradients.iterate if self.method == "cg" else biconjugate_gradients.iterate
        x, info = attempted(system, lambda: iterate(system, self.maxiter))
        work = preconditioned(M, system.matvecs, systems.operators)
        return Attempt(x, system.iterations, system.matvecs, reason(info), work=work)
