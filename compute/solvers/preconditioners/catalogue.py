from __future__ import annotations

from importlib.util import find_spec
from typing import TYPE_CHECKING, Literal

from ritz.compute.solvers.operators import Operators

if TYPE_CHECKING:
    from ritz.compute.solvers.preconditioners.preconditioner import Preconditioner

PreconditionerName = Literal["none", "jacobi", "ssor", "ilu", "icc", "amg", "hypre"]
"""Field type: what a Krylov solver is preconditioned with. ``"none"``: nothing; else the function of that name."""

_LIBRARIES = {"amg": "pyamg", "hypre": "petsc4py"}


def missing(name: PreconditionerName) -> str:
    """Return what has to be installed for the named preconditioner, ``""`` if it is there."""
    library = _LIBRARIES.get(name)
    return "" if library is None or find_spec(library) else f"preconditioner {name!r} needs {library}"


def build(name: PreconditionerName, operators: Operators, i: int) -> Preconditioner | None:
    """Return the named preconditioner of operator ``i`` with its default settings, None for ``"none"``."""
    from ritz.compute.solvers.preconditioners.hypre import hypre
    from ritz.compute.solvers.preconditioners.incomplete import icc, ilu
    from ritz.compute.solvers.preconditioners.multilevel import amg
    from ritz.compute.solvers.preconditioners.relaxation import jacobi, ssor

    builders = {"jacobi": jacobi, "ssor": ssor, "ilu": ilu, "icc": icc, "amg": amg, "hypre": hypre}
    return None if name == "none" else builders[name](operators, i)
