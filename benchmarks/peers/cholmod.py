"""CHOLMOD of SuiteSparse through scikit-sparse, the analysis (nested dissection) done once for a pattern."""

from __future__ import annotations

from functools import partial
from importlib.metadata import version
from typing import Any

import scipy.sparse as sp
from sksparse import cholmod

from benchmarks.method import Method, Peer, Run, Step
from ritz.compute.solvers.systems import Systems


def about() -> str:
    return f"scikit-sparse {version('scikit-sparse')}"


def methods(systems: Systems, rtol: float) -> list[Method]:
    del rtol
    operators = systems.operators
    if not (operators.symmetric and operators.definite):
        return []
    # In three dimensions a factor without supernodes takes minutes.
    modes = ("supernodal",) if len(operators.shape) == 3 else ("supernodal", "simplicial")
    found: list[Method] = []
    for mode in modes:
        peer = partial(Peer, group="direct", prepare=_prepare, analyse=partial(_analyse, mode))
        found.append(peer(f"CHOLMOD, nesdis, {mode}", constant=operators.constant))
        if operators.constant:
            found.append(peer(f"CHOLMOD, nesdis, {mode}, block", constant=True, block=True))
    return found


def _analyse(mode: str, step: Step) -> Any:
    return cholmod.analyze(_columns(step.matrix), mode=mode, ordering_method="nesdis")


def _prepare(step: Step, analysis: Any) -> Run:
    factor = analysis.cholesky(_columns(step.matrix))
    return lambda rhs: (factor(rhs), None)


def _columns(matrix: sp.csr_array) -> sp.csc_matrix:
    """Read the rows of a symmetric matrix as columns: the arrays are the same."""
    return sp.csc_matrix((matrix.data, matrix.indices, matrix.indptr), shape=matrix.shape)
