from __future__ import annotations

from typing import Annotated

from ritz.compute.kind import OneOf
from ritz.compute.solvers.preconditioners.amg import AMG
from ritz.compute.solvers.preconditioners.hypre import Hypre
from ritz.compute.solvers.preconditioners.icc import ICC
from ritz.compute.solvers.preconditioners.ilu import ILU
from ritz.compute.solvers.preconditioners.jacobi import Jacobi
from ritz.compute.solvers.preconditioners.none import NoPreconditioner
from ritz.compute.solvers.preconditioners.preconditioner import Preconditioner
from ritz.compute.solvers.preconditioners.ssor import SSOR

PRECONDITIONERS = OneOf(
    Preconditioner,
    lambda: (NoPreconditioner, Jacobi, SSOR, ILU, ICC, AMG, Hypre),
    group="ritz.preconditioners",
    short=True,
)
"""The shipped preconditioners, and those of installed packages; one without settings of its own is a name alone."""

AnyPreconditioner = Annotated[Preconditioner, PRECONDITIONERS]
"""Field type: what a Krylov solver is preconditioned with."""
