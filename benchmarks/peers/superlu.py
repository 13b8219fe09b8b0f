"""SuperLU through SciPy, which has no way to keep the analysis of a pattern."""

from __future__ import annotations

from functools import partial
from importlib.metadata import version

import scipy.sparse as sp
import scipy.sparse.linalg as spla

from benchmarks.method import Method, Peer, Run, Step
from ritz.compute.solvers.systems import Systems


def about() -> str:
    return f"scipy {version('scipy')}"


def methods(systems: Systems, rtol: float) -> list[Method]:
    del rtol
    name = "SuperLU (SciPy), MMD_AT_PLUS_A, symmetric mode"
    superlu = partial(Peer, group="direct", prepare=_prepare, constant=systems.operators.constant)
    if systems.operators.constant:
        return [superlu(name), superlu(name + ", block", block=True)]
    return [superlu(name)]


def _prepare(step: Step, analysis: None) -> Run:
    del analysis
    # The rows read as columns are the transpose; solving with that one transposed needs no conversion.
    matrix = step.matrix
    transposed = sp.csc_array((matrix.data, matrix.indices, matrix.indptr), shape=matrix.shape)
    factor = spla.splu(transposed, permc_spec="MMD_AT_PLUS_A", diag_pivot_thresh=0.0, options={"SymmetricMode": True})
    return lambda rhs: (factor.solve(rhs, "T"), None)
