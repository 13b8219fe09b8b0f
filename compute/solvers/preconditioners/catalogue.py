from __future__ import annotations

from collections.abc import Callable
from typing import Literal

from compute.solvers.operators import Operators
from compute.solvers.preconditioners.hypre import hypre
from compute.solvers.preconditioners.incomplete import icc, ilu
from compute.solvers.preconditioners.multilevel import amg
from compute.solvers.preconditioners.preconditioner import Preconditioner
from compute.solvers.preconditioners.relaxation import jacobi, ssor

PreconditionerName = Literal["none", "jacobi", "ssor", "ilu", "icc", "amg", "hypre"]
"""Field type: what a Krylov solver is preconditioned with. ``"none"``: nothing; else the function of that name."""

_BUILDERS: dict[str, Callable[[Operators, int], Preconditioner]] = {
    "jacobi": jacobi,
    "ssor": ssor,
    "ilu": ilu,
    "icc": icc,
    "amg": amg,
    "hypre": hypre,
}


def build(name: PreconditionerName, operators: Operators, i: int) -> Preconditioner | None:
    """Return the named preconditioner of operator ``i`` with its default settings, None for ``"none"``."""
    return None if name == "none" else _BUILDERS[name](operators, i)
