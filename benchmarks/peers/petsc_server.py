"""Solves with PETSc what comes in on stdin; needs petsc4py and numpy, nothing of this project.

A request is a line of JSON (``method``, ``options``, ``size``, ``entries``, ``count``, ``rtol``, ``maxiter``,
``fresh``, ``changed``), then indptr and indices (int32), the entries and ``count`` right-hand sides (float64), all
little-endian. The answer is a line of JSON (``seconds``, ``setup``, ``iterations``, ``reason``), then the solutions.

The clock runs from the CSR arrays in memory to the last solution in memory. A ``fresh`` solver forgets what it knew;
one that is not keeps what depends on the pattern only (the symbolic part of ILU and ICC), and keeps all unless the
matrix is said to have ``changed``.
"""

from __future__ import annotations

import json
import os
import sys
import time

import numpy as np
import petsc4py

# Printing libraries must not get into the answers.
answers = os.fdopen(os.dup(1), "wb")
os.dup2(2, 1)

petsc4py.init(["-options_left", "no"])
from petsc4py import PETSc  # noqa: E402

solvers = {}


def receive(count, dtype):
    """Read an array from stdin."""
    array = np.frombuffer(sys.stdin.buffer.read(count * np.dtype(dtype).itemsize), dtype=dtype)
    if len(array) != count:
        raise EOFError(f"got {len(array)} of {count} numbers")
    return array.copy()


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
        self.ksp = PETSc.KSP().create(PETSc.COMM_SELF)
        self.ksp.setOperators(self.matrix)
        self.ksp.setTolerances(rtol=request["rtol"], atol=0, divtol=1e30, max_it=request["maxiter"])
        self.ksp.setFromOptions()
        self.x, self.b = self.matrix.createVecs()
        for name in request["options"]:
            database.delValue(name)

    def solve(self, data, rhs, start):
        """Solve for all right-hand sides, with new values unless None; return solutions and an account.

        The time counts from ``start``.
        """
        x = np.empty_like(rhs)
        iterations, reasons = 0, []
        if data is not None:
            self.data[:] = data
            self.matrix.stateIncrease()
            self.ksp.setOperators(self.matrix)
            self.ksp.setUp()
        setup = time.perf_counter() - start
        for column, b in enumerate(rhs):
            self.b.setArray(b)
            self.ksp.solve(self.b, self.x)
            x[column] = self.x.getArray(readonly=True)
            iterations += self.ksp.getIterationNumber()
            reasons.append(int(self.ksp.getConvergedReason()))
        seconds = time.perf_counter() - start
        return x, {
            "seconds": seconds,
            "setup": setup,
            "iterations": iterations / len(rhs),
            "reason": min(reasons),
        }


def answer(account, x):
    """Write an answer."""
    answers.write(json.dumps(account).encode() + b"\n")
    answers.write(x.tobytes())
    answers.flush()


def main():
    """Answer until stdin ends."""
    package = PETSc.Sys.getVersion()
    answer(
        {"petsc": ".".join(map(str, package)), "numpy": np.__version__, "python": sys.version.split()[0]}, np.empty(0)
    )
    for line in sys.stdin.buffer:
        request = json.loads(line)
        indptr = receive(request["size"] + 1, "<i4")
        indices = receive(request["entries"], "<i4")
        data = receive(request["entries"], "<f8")
        rhs = receive(request["count"] * request["size"], "<f8").reshape(request["count"], request["size"])
        name = request["method"]
        start = time.perf_counter()
        try:
            if request["fresh"]:
                solvers[name] = Solver(request, indptr, indices, data)
            x, account = solvers[name].solve(data if request["changed"] else None, rhs, start)
        except PETSc.Error as error:
            x, account = np.full_like(rhs, np.nan), {"seconds": 0, "setup": 0, "iterations": 0, "reason": str(error)}
        answer(account, x)


if __name__ == "__main__":
    main()
