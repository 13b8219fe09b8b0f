from __future__ import annotations

from collections.abc import Callable
from importlib.util import find_spec
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


_LIBRARIES = {"amg": "pyamg", "hypre": "petsc4py"}


def missing(name: PreconditionerName) -> str:
    """Return what has to be installed for the named preconditioner, ``""`` if it is there."""
    library = _LIBRARIES.get(name)
    return "" if library is None or find_spec(library) else f"preconditioner {name!r} needs {library}"


def build(name: PreconditionerName, operators: Operators, i: int) -> Preconditioner | None:
    """Return the named preconditioner of operator ``i`` with its default settings, None for ``"none"``."""
    return None if name == "none" else _BUILDERS[name](operators, i)
