from __future__ import annotations

import numpy as np

from ritz.compute.solvers.operators import Operators
from ritz.compute.solvers.preconditioners.preconditioner import Preconditioner


def hypre(operators: Operators, i: int) -> Preconditioner:
    """One V-cycle of hypre's BoomerAMG of one real operator, as its approximate inverse, through PETSc.

    The settings are PETSc's defaults for ``-pc_type hypre``, with one symmetric smoother on both sides.

    Parameters
    ----------
    operators, i
        The matrix is operator ``i``.

    Returns
    -------
    Preconditioner
        Applies the cycle to vectors and blocks.

    Raises
    ------
    ImportError
        If petsc4py is not importable. It comes with the extra ``ritz[petsc]``, which needs a PETSc built with hypre
        for the installed numpy.
    ValueError
        If the operator is complex, or PETSc was built without hypre.
    """
    try:
        from petsc4py import PETSc
    except ImportError as error:
        raise ImportError(
            "preconditioner hypre needs petsc4py and a PETSc with hypre: install ritz[petsc] where PETSC_DIR names one"
        ) from error
    if operators.dtype.kind == "c":
        raise ValueError("preconditioner hypre takes real operators, these are complex")
    if "hypre" not in PETSc.PC.Type.__dict__.values():
        raise ValueError("this petsc4py knows no preconditioner hypre")
    pattern, size = operators.pattern, operators.pattern.size
    rows = (pattern.indptr, pattern.indices, operators.entries(i))
    matrix = PETSc.Mat().createAIJ((size, size), csr=rows, comm=PETSc.COMM_SELF)
    cycle = PETSc.PC().create(PETSc.COMM_SELF)
    cycle.setType("hypre")
    cycle.setHYPREType("boomeramg")
    cycle.setOperators(matrix)
    cycle.setUp()
    given, found = matrix.createVecs()

    def solve(v: np.ndarray) -> np.ndarray:
        given.setArray(v)
        cycle.apply(given, found)
        return found.getArray().copy()

    return Preconditioner(solve, operators, i)
