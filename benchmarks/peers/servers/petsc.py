"""Solves with PETSc what comes in on stdin (see `wire`); needs petsc4py and numpy, nothing of this project.

Arrays are indptr and indices (int32), the entries and the right-hand sides (float64). The clock runs from the CSR
arrays in memory to the last solution in memory. A ``fresh`` solver forgets what it knew; one that is not keeps what
depends on the pattern only (symbolic factorisations), and keeps all unless the matrix is said to have ``changed``.
"""

from __future__ import annotations

import sys

import numpy as np
import petsc4py
import wire

petsc4py.init(["-options_left", "no"])
from petsc4py import PETSc  # noqa: E402

solvers = {}


class Solver:
    """A KSP with its options and the matrix whose values it is given anew."""

    def __init__(self, request, indptr, indices, data):
        database = PETSc.Options()
        for name, value in request["options"].items():
            database[name] = value
        size = request["size"]
        self.data = data.copy()
        self.matrix = PETSc.Mat().createAIJWithArrays((size, size), (indptr, indices, self.data), comm=PETSc.COMM_SELF)
        self.matrix.assemble()
        self.matrix.setOption(PETSc.Mat.Option.SYMMETRIC, request["symmetric"])
        self.matrix.setOption(PETSc.Mat.Option.SPD, request["definite"] and request["symmetric"])
        self.ksp = PETSc.KSP().create(PETSc.COMM_SELF)
        self.ksp.setOperators(self.matrix)
        self.ksp.setTolerances(rtol=request["rtol"], atol=0, divtol=1e30, max_it=request["maxiter"])
        self.ksp.setFromOptions()
        self.direct = self.ksp.getType() == "preonly"
        self.x, self.b = self.matrix.createVecs()
        for name in request["options"]:
            database.delValue(name)

    def take(self, data):
        """Set up for new values."""
        self.data[:] = data
        self.matrix.stateIncrease()
        self.ksp.setOperators(self.matrix)
        self.ksp.setUp()

    def solve(self, b):
        """Solve for a right-hand side."""
        self.b.setArray(b)
        self.ksp.solve(self.b, self.x)
        reason = int(self.ksp.getConvergedReason())
        self.reason = min(self.reason, reason)
        return self.x.getArray(readonly=True).copy(), None if self.direct else self.ksp.getIterationNumber()


def solve(request, arrays):
    """Answer a request."""
    indptr, indices, data, rhs = arrays
    rhs = rhs.reshape(-1, request["size"])
    name = request["method"]

    def prepare():
        if request["fresh"]:
            solvers[name] = Solver(request, indptr, indices, data)
        solver = solvers[name]
        solver.reason = 100
        if request["changed"]:
            solver.take(data)
        return solver.solve

    try:
        account, x = wire.answered(rhs, prepare)
        return account | {"reason": solvers[name].reason}, x
    except PETSc.Error as error:
        return {"seconds": 0, "setup": 0, "iterations": None, "reason": str(error)}, np.full_like(rhs, np.nan)


if __name__ == "__main__":
    package = ".".join(map(str, PETSc.Sys.getVersion()))
    wire.serve({"petsc": package, "numpy": np.__version__, "python": sys.version.split()[0]}, solve)
