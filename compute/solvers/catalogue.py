from __future__ import annotations

from typing import Annotated

from ritz.compute.kind import OneOf
from ritz.compute.solvers.choice.auto import Auto
from ritz.compute.solvers.choice.candidates import CANDIDATES, SINGLE
from ritz.compute.solvers.learned.direction import LearnedDirection
from ritz.compute.solvers.solver import Solver
from ritz.compute.solvers.tuning.tuned import Tuned

AnySolver = Annotated[Solver, OneOf(Solver, lambda: (*CANDIDATES, LearnedDirection, Auto, Tuned), group=SINGLE.group)]
"""Field type: any shipped solver, or an instance of one's own class."""


def answering(solver: Solver) -> tuple[str, ...]:
    """Return the kinds of all solvers that may answer in a dataset: the shipped ones and those of ``solver``."""
    shipped = (str(one.model_fields["kind"].default) for one in CANDIDATES)
    return tuple(sorted({*shipped, *solver.answering()}))
