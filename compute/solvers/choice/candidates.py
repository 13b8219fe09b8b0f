from __future__ import annotations

from typing import Annotated

from ritz.compute.kind import OneOf
from ritz.compute.solvers.factorization.cyclic import Cyclic
from ritz.compute.solvers.factorization.direct import Direct
from ritz.compute.solvers.iterative.krylov import Krylov
from ritz.compute.solvers.iterative.recycled import Recycled
from ritz.compute.solvers.multigrid.multigrid import Multigrid
from ritz.compute.solvers.solver import Solver
from ritz.compute.solvers.transform.transform import Transform

CANDIDATES: tuple[type[Solver], ...] = (Multigrid, Transform, Cyclic, Direct, Krylov, Recycled)
"""The shipped solvers that solve by themselves."""

SINGLE = OneOf(Solver, lambda: CANDIDATES, group="ritz.solvers")
"""Those, and the ones of installed packages."""

AnyCandidate = Annotated[Solver, SINGLE]
"""Field type: any of them, or an instance of one's own class."""
