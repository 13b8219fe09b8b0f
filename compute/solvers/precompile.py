"""Compiles the kernels of the shipped solvers and keeps the code: ``python -m ritz.compute.solvers.precompile``.

Otherwise the first run of an installation waits for it, half a minute on one core.
"""

from __future__ import annotations

from concurrent.futures import ProcessPoolExecutor

import numpy as np
import scipy

from ritz.compute.solvers.assembly import convection_diffusion, diffusion
from ritz.compute.solvers.factorization.cyclic import Cyclic
from ritz.compute.solvers.iterative.krylov import Krylov
from ritz.compute.solvers.multigrid.multigrid import Multigrid
from ritz.compute.solvers.operators import Matrices, Operators
from ritz.compute.solvers.preconditioners.ilu import ILU
from ritz.compute.solvers.solver import Solver
from ritz.compute.solvers.systems import Systems
from ritz.compute.solvers.transform.transform import Transform

CELLS = 24
"""Cells per axis: more than one level of multigrid."""


SOLVERS: tuple[Solver, ...] = (
    Multigrid(),
    Krylov(preconditioner="ilu"),
    Transform(),
    Krylov(preconditioner="ssor"),
    Krylov(preconditioner=ILU(fill=1)),
    Cyclic(),
)
"""Those with kernels of their own."""


def precompile(solver: Solver) -> None:
    """Solve a small system of each sort."""
    one = np.ones((1, CELLS, CELLS))
    faces = [np.ones((1, CELLS + 1, CELLS)), np.ones((1, CELLS, CELLS + 1))]
    symmetric, flowing = diffusion(one), convection_diffusion(1.0, faces)
    mesh = symmetric.csr(0)
    unstructured = Matrices(mesh.data[None], Matrices.pattern_of(mesh), (mesh.shape[0],), symmetric=True, definite=True)
    circle = 3 * np.eye(CELLS) - np.roll(np.eye(CELLS), 1, axis=0) - np.roll(np.eye(CELLS), -1, axis=0)
    closed = scipy.sparse.csr_array(circle)
    ring = Matrices(np.stack([closed.data, closed.data]), Matrices.pattern_of(closed), (CELLS,))
    # What stands for many equal matrices or right-hand sides is read-only, another type to numba.
    constant = diffusion(np.broadcast_to(one, (2, *one.shape[1:])))
    sorts: tuple[Operators, ...] = (symmetric, constant, flowing, unstructured, ring)
    for operators in sorts:
        rhs = np.ones((len(operators), *operators.shape))
        for systems in (Systems(operators, rhs), Systems(operators, np.broadcast_to(rhs[:1], rhs.shape))):
            if not solver.unfit(systems):
                solver.solve(systems, rtol=1e-6)


if __name__ == "__main__":
    # Two at once: of a kernel that both need, one waits until the other has compiled it.
    with ProcessPoolExecutor(2) as pool:
        list(pool.map(precompile, SOLVERS))
