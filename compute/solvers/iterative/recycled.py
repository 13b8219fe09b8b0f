from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

from pydantic import Field

from ritz.compute.kind import Fault, in_units
from ritz.compute.solvers.expectation import extent
from ritz.compute.solvers.iterative.composed import minimal_residual
from ritz.compute.solvers.iterative.guard import Guard
from ritz.compute.solvers.iterative.recycler import Recycler
from ritz.compute.solvers.preconditioners.catalogue import AnyPreconditioner
from ritz.compute.solvers.preconditioners.ilu import ILU
from ritz.compute.solvers.sequential import Sequential
from ritz.compute.solvers.solver import Attempt
from ritz.compute.solvers.systems import Systems


class Recycled(Sequential):
    """GCRO-DR with a space of harmonic Ritz vectors carried from system to system.

    The carry is a `Recycler`. See `ritz.compute.solvers.krylov.gcrodr` for the method and its source.
    """

    kind: Literal["recycled"] = "recycled"
    restart: int = Field(default=50, ge=2, le=1000, json_schema_extra=in_units("vectors"))
    """Dimension of the space of one cycle, recycled vectors included."""
    recycle: int = Field(default=20, ge=0, le=500, json_schema_extra=in_units("vectors"))
    """Vectors carried on; less than ``restart``. 0 is restarted GMRES."""
    preconditioner: AnyPreconditioner = ILU()
    """Applied from the right, made anew for every system; see `ritz.compute.solvers.preconditioners.catalogue`."""
    maxiter: int = Field(default=200, ge=1, le=100_000, json_schema_extra=in_units("cycles"))
    """Cycles after which a system is given up and handed to the direct solver."""
    guard: bool = True
    """Whether to solve some systems cold, and to drop the carry while it does not pay; see `Guard`."""

    def faults(self) -> Iterator[Fault]:
        """Yield more recycled vectors than a cycle has; see `Kind.faults`."""
        if self.recycle >= self.restart:
            yield Fault(
                ("recycle", "restart"),
                f"recycle is {self.recycle}, expected less than restart, which is {self.restart}",
            )

    def unfit(self, systems: Systems) -> str:
        """Return what keeps it from solving such systems; see `Solver.unfit`."""
        return self.preconditioner.unfit(systems.operators)

    def expected(self, systems: Systems) -> float:
        """Estimate the seconds per system; see `Solver.expected`."""
        operators = systems.operators
        unknowns, solid, grown = extent(operators)
        if solid:
            return float(unknowns * (1e-6 if operators.definite else 3e-6) * grown ** (1 / 3))
        return float(unknowns * (3e-6 if operators.definite else 2.4e-5) * grown**0.5)

    def attempt(self, systems: Systems, i: int, *, rtol: float, carry: Recycler | None) -> tuple[Attempt, Recycler]:
        """Answer one system; see `Sequential.attempt`."""
        recycler = Recycler(guard=Guard() if self.guard else None) if carry is None else carry.copy()
        try:
            M = self.preconditioner.inverse(systems.operators, i)
        except FloatingPointError:
            return Attempt(None, 0, 0, "breakdown", work=0.0), recycler
        attempt = minimal_residual(
            systems,
            i,
            M,
            rtol=rtol,
            restart=self.restart,
            recycle=self.recycle,
            maxiter=self.maxiter,
            recycler=recycler,
        )
        return attempt, recycler
