from __future__ import annotations

from typing import Annotated

from compute.kind import OneOf
from compute.solvers.choice import Auto
from compute.solvers.direct import Direct
from compute.solvers.recycled import Recycled
from compute.solvers.solver import Solver

AnySolver = Annotated[Solver, OneOf(Solver, lambda: (Direct, Recycled, Auto))]
"""Field type: any shipped solver, or an instance of one's own class."""


def answering(solver: Solver) -> tuple[str, ...]:
    """Return the kinds of all solvers that may answer in a dataset: the shipped ones and those of ``solver``."""
    candidates = solver.candidates if isinstance(solver, Auto) else (solver,)
    return tuple(sorted({Direct().kind, Recycled().kind, *(candidate.kind for candidate in candidates)}))
