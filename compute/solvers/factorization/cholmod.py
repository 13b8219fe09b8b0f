from __future__ import annotations

import numpy as np
import scipy.sparse as sp
from sksparse import cholmod

from ritz.compute.solvers.factorization.analysis import Solve
from ritz.compute.solvers.operators import Pattern

_DISSECTION_FROM = 8000
"""Unknowns from which on nested dissection beats minimum degree: measured on grids."""


class Cholmod:
    """Cholesky factorisation by CHOLMOD of SuiteSparse.

    Source: Y. Chen, T. A. Davis, W. W. Hager, S. Rajamanickam, "Algorithm 887: CHOLMOD", ACM TOMS 35 (2008).
    """

    def __init__(self, pattern: Pattern, dtype: np.dtype) -> None:
        self.pattern = pattern
        large = pattern.size >= _DISSECTION_FROM
        # Dense blocks pay where rows are long, as in space and on triangles; not for 5-point stencils: measured.
        dense = len(pattern.indices) > 6 * pattern.size
        self.analysed = cholmod.analyze(
            self._matrix(np.ones(len(pattern.indices), dtype=dtype)),
            mode="auto" if not large else "supernodal" if dense else "simplicial",
            # There the least fill of several orders is worth the search; on grids it is that of nested dissection.
            ordering_method="amd" if not large else "best" if dense else "nesdis",
        )

    def factor(self, entries: np.ndarray) -> Solve:
        """Factor one matrix; see `Analysis.factor`. An older one is factored again when it is asked for."""
        matrix = self._matrix(entries.copy())
        self._factor(matrix)

        def solve(rhs: np.ndarray) -> np.ndarray:
            if self.newest is not matrix:
                self._factor(matrix)
            if np.iscomplexobj(rhs) and entries.dtype.kind != "c":
                return solve(rhs.real) + 1j * solve(rhs.imag)
            x: np.ndarray = self.analysed(rhs.astype(entries.dtype, copy=False))
            return x

        return solve

    def _factor(self, matrix: sp.csc_matrix) -> None:
        self.newest: sp.csc_matrix | None = None
        try:
            self.analysed.cholesky_inplace(matrix)
        except cholmod.CholmodNotPositiveDefiniteError as error:
            raise ZeroDivisionError(f"cholmod: {error}") from error
        self.newest = matrix

    def _matrix(self, entries: np.ndarray) -> sp.csc_matrix:
        # Symmetric: rows and columns are the same.
        size = self.pattern.size
        return sp.csc_matrix((entries, self.pattern.indices, self.pattern.indptr), shape=(size, size))
