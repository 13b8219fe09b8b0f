from __future__ import annotations

import copy
import os
import weakref
from contextlib import suppress
from functools import lru_cache
from importlib.metadata import PackageNotFoundError, files
from typing import Any

import numpy as np
import scipy.sparse as sp
from pypardiso import PyPardisoSolver
from pypardiso.pardiso_wrapper import PyPardisoError

from ritz.compute.solvers.factorization.analysis import Solve
from ritz.compute.solvers.operators import Pattern

_ANALYSE, _FACTOR, _SOLVE, _RELEASE = 11, 22, 33, -1
_DEFINITE, _SYMMETRIC, _GENERAL = 2, -2, 11


@lru_cache(maxsize=1)
def _loaded() -> PyPardisoSolver:
    # Else it runs a compiler and walks through the environment to find the library, seconds in every process.
    with suppress(PackageNotFoundError):
        for file in files("mkl") or ():
            if "mkl_rt" in file.name:
                os.environ.setdefault("PYPARDISO_MKL_RT", str(file.locate()))
    return PyPardisoSolver()


def _solver(kind: int) -> PyPardisoSolver:
    """Return a new connection to the library."""
    solver = copy.copy(_loaded())
    solver.pt, solver.iparm = np.zeros_like(solver.pt), np.zeros_like(solver.iparm)
    solver.set_matrix_type(kind)
    return solver


class Pardiso:
    """PARDISO of the Intel MKL: Cholesky, Bunch–Kaufman or LU by what is known of the matrix.

    Source: O. Schenk, K. Gärtner, "Solving unsymmetric sparse systems of linear equations with PARDISO", Future
    Gener. Comput. Syst. 20 (2004).
    """

    def __init__(self, pattern: Pattern, symmetric: bool, definite: bool) -> None:
        self.size = pattern.size
        rows, columns = pattern.rows(), pattern.indices
        # Of a symmetric matrix PARDISO takes the upper triangle.
        self.keep = np.flatnonzero(columns >= rows) if symmetric else np.arange(len(columns))
        indptr = np.concatenate([[0], np.cumsum(np.bincount(rows[self.keep], minlength=self.size))])
        self.indptr, self.indices = indptr.astype(np.int32), columns[self.keep].astype(np.int32)
        kind = (_DEFINITE if definite else _SYMMETRIC) if symmetric else _GENERAL
        self.solver = _solver(kind)
        parameters = self.solver.iparm
        parameters[0] = 1  # What follows instead of the defaults.
        parameters[1] = 2  # Nested dissection.
        parameters[9] = 8 if kind == _SYMMETRIC else 13  # Tiny pivots are moved by 10⁻ᵏ of the norm.
        # Two-level factorisation: measured, a tenth to a third less time also on one core. The newer one (10) takes
        # still less, but crashes beside another OpenMP library, such as the one that CHOLMOD brings.
        parameters[23] = 1
        parameters[20] = 1  # 1×1 and 2×2 pivots where the matrix is indefinite.
        # Without scaling and matching (10, 12) the analysis depends on the pattern alone and serves every matrix.
        # The caller measures residuals and refines: here it is done only where pivots were moved.
        parameters[7] = 0
        self._call(_ANALYSE, sp.csr_array((np.ones(len(self.keep)), self.indices, self.indptr), shape=(self.size,) * 2))
        # The library's memory is not Python's.
        weakref.finalize(self, self.solver.free_memory, everything=True)

    def factor(self, entries: np.ndarray) -> Solve:
        """Factor one matrix; see `Analysis.factor`. An older one is factored again when it is asked for."""
        matrix = sp.csr_array((entries[self.keep], self.indices, self.indptr), shape=(self.size, self.size))
        self._factor(matrix)

        def solve(rhs: np.ndarray) -> np.ndarray:
            if self.newest is not matrix:
                self._factor(matrix)
            if np.iscomplexobj(rhs):
                return solve(rhs.real) + 1j * solve(rhs.imag)
            return self._call(_SOLVE, matrix, rhs)

        return solve

    def _factor(self, matrix: sp.csr_array) -> None:
        self.newest: sp.csr_array | None = None
        try:
            self._call(_FACTOR, matrix)
        except PyPardisoError as error:
            raise ZeroDivisionError(f"pardiso: {error}") from error
        self.newest = matrix

    def _call(self, phase: int, matrix: Any, rhs: np.ndarray | None = None) -> np.ndarray:
        self.solver.set_phase(phase)
        b = np.zeros((self.size, 1)) if rhs is None else np.asfortranarray(rhs, dtype=np.float64)
        # Its public methods compare or hash the matrix with the one before, at the price of a solve.
        x: np.ndarray = self.solver._call_pardiso(matrix, b)
        return x
