"""Solves with hypre's multigrid for structured grids (see `wire`); needs numpy, libHYPRE and the MPI it was built with.

Arrays are the stencil's coefficients as `ritz.compute.solvers.operators.Stencil` has them and the right-hand sides,
float64. Options: ``shape`` of the grid, ``cycle`` (``PFMG`` or ``SMG``), ``krylov`` (``PCG`` or ``BiCGSTAB``),
``settings`` of the cycle. The clock runs from the coefficients in memory to the last solution in memory.
"""

from __future__ import annotations

import ctypes
import re
import sys

import numpy as np
import wire

mpi = ctypes.CDLL("libmpi.so.40", mode=ctypes.RTLD_GLOBAL)
hypre = ctypes.CDLL(sys.argv[1])
mpi.MPI_Init(None, None)
ALONE = ctypes.c_void_p(ctypes.addressof(ctypes.c_char.in_dll(mpi, "ompi_mpi_comm_self")))
kept = {}


def call(name, *arguments):
    """Call a function of hypre; numbers are ints unless they are floats."""
    given = [ctypes.c_double(a) if isinstance(a, float) else a for a in arguments]
    error = getattr(hypre, name)(*given)
    # Bit 256: not converged, which the true residual tells better.
    if error & ~256:
        hypre.HYPRE_ClearAllErrors()
        raise RuntimeError(f"{name}: hypre's error {error}")
    hypre.HYPRE_ClearAllErrors()


def made(name, *arguments):
    """Make an object of hypre."""
    handle = ctypes.c_void_p()
    call(name, *arguments, ctypes.byref(handle))
    return handle


def ints(values):
    """Return a C array."""
    return (ctypes.c_int * len(values))(*values)


def address(array):
    """Return where an array lies."""
    return array.ctypes.data_as(ctypes.c_void_p)


class Grid:
    """Grid, stencil and vectors: what does not depend on the coefficients."""

    def __init__(self, shape, symmetric):
        # hypre's first index runs fastest.
        self.axes, self.symmetric = len(shape), symmetric
        self.low, self.high = ints([0] * self.axes), ints([n - 1 for n in reversed(shape)])
        grid = made("HYPRE_StructGridCreate", ALONE, self.axes)
        call("HYPRE_StructGridSetExtents", grid, self.low, self.high)
        call("HYPRE_StructGridAssemble", grid)
        self.grid = grid
        offsets = [(0,) * self.axes]
        self.points = [0]
        for axis in range(self.axes):
            for upper in (0, 1):
                offset = [0] * self.axes
                offset[self.axes - 1 - axis] = 1 if upper else -1
                if upper or not symmetric:
                    offsets.append(tuple(offset))
                    self.points.append(1 + 2 * axis + upper)
        self.stencil = made("HYPRE_StructStencilCreate", self.axes, len(offsets))
        for i, offset in enumerate(offsets):
            call("HYPRE_StructStencilSetElement", self.stencil, i, ints(offset))
        self.x, self.b = self.vector(), self.vector()

    def vector(self):
        """Make a vector."""
        vector = made("HYPRE_StructVectorCreate", ALONE, self.grid)
        call("HYPRE_StructVectorInitialize", vector)
        return vector

    def matrix(self, coefficients):
        """Make a matrix, entry by entry of the stencil, so that nothing has to be transposed."""
        matrix = made("HYPRE_StructMatrixCreate", ALONE, self.grid, self.stencil)
        call("HYPRE_StructMatrixSetSymmetric", matrix, int(self.symmetric))
        call("HYPRE_StructMatrixInitialize", matrix)
        for i, point in enumerate(self.points):
            values = coefficients[point]
            call("HYPRE_StructMatrixSetBoxValues", matrix, self.low, self.high, 1, ints([i]), address(values))
        call("HYPRE_StructMatrixAssemble", matrix)
        return matrix


class Solver:
    """A Krylov method with a cycle for its preconditioner, for one matrix."""

    def __init__(self, grid, coefficients, options, rtol, maxiter):
        self.grid, self.krylov, self.cycle = grid, "HYPRE_Struct" + options["krylov"], "HYPRE_Struct" + options["cycle"]
        self.matrix = grid.matrix(coefficients)
        self.inner = made(self.cycle + "Create", ALONE)
        call(self.cycle + "SetMaxIter", self.inner, 1)
        call(self.cycle + "SetTol", self.inner, 0.0)
        call(self.cycle + "SetZeroGuess", self.inner)
        for name, value in options["settings"].items():
            call(self.cycle + "Set" + name, self.inner, value)
        self.outer = made(self.krylov + "Create", ALONE)
        call(self.krylov + "SetTol", self.outer, float(rtol))
        call(self.krylov + "SetMaxIter", self.outer, maxiter)
        if options["krylov"] == "PCG":
            call(self.krylov + "SetTwoNorm", self.outer, 1)
        solve, setup = getattr(hypre, self.cycle + "Solve"), getattr(hypre, self.cycle + "Setup")
        call(self.krylov + "SetPrecond", self.outer, solve, setup, self.inner)
        call("HYPRE_StructVectorAssemble", grid.b)
        call("HYPRE_StructVectorAssemble", grid.x)
        call(self.krylov + "Setup", self.outer, self.matrix, grid.b, grid.x)

    def solve(self, b):
        """Solve for a right-hand side, from zero."""
        grid, x, count = self.grid, np.zeros_like(b), ctypes.c_int()
        call("HYPRE_StructVectorSetBoxValues", grid.b, grid.low, grid.high, address(b))
        call("HYPRE_StructVectorSetBoxValues", grid.x, grid.low, grid.high, address(x))
        call(self.krylov + "Solve", self.outer, self.matrix, grid.b, grid.x)
        call("HYPRE_StructVectorGetBoxValues", grid.x, grid.low, grid.high, address(x))
        call(self.krylov + "GetNumIterations", self.outer, ctypes.byref(count))
        return x, count.value

    def release(self):
        """Give the memory back."""
        call(self.krylov + "Destroy", self.outer)
        call(self.cycle + "Destroy", self.inner)
        call("HYPRE_StructMatrixDestroy", self.matrix)


def solve(request, arrays):
    """Answer a request."""
    options = request["options"]
    shape, name = options["shape"], request["method"]
    coefficients = arrays[0].reshape(1 + 2 * len(shape), -1)
    rhs = arrays[1].reshape(-1, request["size"])
    if request["fresh"]:
        kept[name] = [Grid(shape, request["symmetric"]), None]

    def prepare():
        grid, old = kept[name]
        if request["changed"]:
            kept[name][1] = Solver(grid, coefficients, options, request["rtol"], request["maxiter"])
            if old is not None:
                old.release()
        return kept[name][1].solve

    try:
        return wire.answered(rhs, prepare)
    except RuntimeError as error:
        return {"seconds": 0, "setup": 0, "iterations": None, "reason": str(error)}, np.full_like(rhs, np.nan)


if __name__ == "__main__":
    wire.serve({"hypre": ".".join(re.findall(r"\d+", sys.argv[1].split("HYPRE")[-1])) or "?"}, solve)
