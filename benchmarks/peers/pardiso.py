"""PARDISO of Intel MKL through pypardiso: the analysis done once for a pattern, no refinement of good pivots."""

from __future__ import annotations

import weakref
from functools import partial
from importlib.metadata import version

import numpy as np
import scipy.sparse as sp
from pypardiso import PyPardisoSolver

from benchmarks.method import Method, Peer, Run, Step
from compute.solvers.systems import Systems

_NONSYMMETRIC, _DEFINITE, _INDEFINITE = 11, 2, -2
_ANALYSE, _FACTOR, _SOLVE = 11, 22, 33


def about() -> str:
    return f"pypardiso {version('pypardiso')} (mkl {version('mkl')})"


def methods(systems: Systems, rtol: float) -> list[Method]:
    del rtol
    operators = systems.operators
    if not operators.symmetric:
        kind, name = _NONSYMMETRIC, "PARDISO, nonsymmetric"
    elif operators.definite:
        kind, name = _DEFINITE, "PARDISO, definite"
    else:
        kind, name = _INDEFINITE, "PARDISO, indefinite"
    pardiso = partial(Peer, group="direct", prepare=_prepare, analyse=partial(_Analysis, kind))
    if operators.constant:
        return [pardiso(name, constant=True), pardiso(name + ", block", constant=True, block=True)]
    return [pardiso(name)]


class _Analysis:
    """A solver that knows the pattern; of a symmetric matrix it is given the upper triangle."""

    def __init__(self, kind: int, step: Step) -> None:
        matrix = step.matrix
        places = sp.csr_array((np.arange(1, matrix.nnz + 1), matrix.indices, matrix.indptr), shape=matrix.shape)
        kept = places if kind == _NONSYMMETRIC else sp.triu(places, format="csr")
        self.places = kept.data - 1
        self.matrix = sp.csr_array((matrix.data[self.places], kept.indices, kept.indptr), shape=matrix.shape)
        self.nothing = np.zeros(matrix.shape[0])
        self.solver = PyPardisoSolver(mtype=kind)
        self.call(_ANALYSE, self.nothing)
        # By default every solve is refined twice, which takes three times as long; the tolerance does not need it.
        self.solver.set_iparm(8, 0)
        weakref.finalize(self, self.solver.free_memory, True).atexit = False

    def call(self, phase: int, rhs: np.ndarray) -> np.ndarray:
        self.solver.set_phase(phase)
        return self.solver._call_pardiso(self.matrix, rhs)


def _prepare(step: Step, analysis: _Analysis) -> Run:
    analysis.matrix.data = step.matrix.data[analysis.places]
    analysis.call(_FACTOR, analysis.nothing)
    return lambda rhs: (analysis.call(_SOLVE, rhs), None)
