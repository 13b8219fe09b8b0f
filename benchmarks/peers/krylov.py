"""Krylov solvers of SciPy, with the incomplete factorisations a SciPy user has, or with ILU(0).

SciPy has no ILU(0): Ritz's is lent to it. Its own threshold ILU is taken with the settings that were quickest on Darcy
128² among four (drop_tol 1e-4 to 1e-2, fill_factor 5 and 10, COLAMD, MMD_AT_PLUS_A and natural order).
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from importlib.metadata import version

import numpy as np
import scipy.sparse.linalg as spla

from benchmarks.method import MARGIN, Method, Peer, Run, Step
from ritz.compute.solvers.preconditioners.ilu import ILU
from ritz.compute.solvers.systems import Systems

Inverse = Callable[[Step], spla.LinearOperator]


def about() -> str:
    return f"scipy {version('scipy')}"


def methods(systems: Systems, rtol: float) -> list[Method]:
    carried: list[tuple[np.ndarray, np.ndarray]] = []
    peer = partial(Peer, group="iterative", constant=systems.operators.constant)
    return [
        peer("SciPy gmres(30) + ILU(0)", prepare=partial(_gmres, rtol, _ilu0)),
        peer("SciPy gmres(30) + spilu(1e-3)", prepare=partial(_gmres, rtol, _threshold)),
        peer(
            "SciPy gcrotmk(20, 10) + ILU(0), carried",
            prepare=partial(_gcrotmk, rtol, _ilu0, carried),
            forget=carried.clear,
        ),
    ]


def _ilu0(step: Step) -> spla.LinearOperator:
    return ILU().inverse(step.systems.operators, 0)


def _threshold(step: Step) -> spla.LinearOperator:
    factor = spla.spilu(step.matrix.tocsc(), drop_tol=1e-3, fill_factor=10, permc_spec="MMD_AT_PLUS_A")
    return spla.LinearOperator(step.matrix.shape, matvec=factor.solve, dtype=np.float64)


def _gmres(rtol: float, inverse: Inverse, step: Step, analysis: None) -> Run:
    del analysis
    M = inverse(step)

    def run(rhs: np.ndarray) -> tuple[np.ndarray, int]:
        norms: list[float] = []
        x, _ = spla.gmres(
            step.matrix,
            rhs,
            rtol=MARGIN * rtol,
            restart=30,
            maxiter=100,
            M=M,
            callback=norms.append,
            callback_type="pr_norm",
        )
        return x, len(norms)

    return run


def _gcrotmk(
    rtol: float, inverse: Inverse, carried: list[tuple[np.ndarray, np.ndarray]], step: Step, analysis: None
) -> Run:
    del analysis
    M = inverse(step)

    def run(rhs: np.ndarray) -> tuple[np.ndarray, int]:
        applied = 0

        def matvec(x: np.ndarray) -> np.ndarray:
            nonlocal applied
            applied += 1
            return step.matrix @ x

        A = spla.LinearOperator(step.matrix.shape, matvec=matvec, dtype=np.float64)
        x, _ = spla.gcrotmk(A, rhs, rtol=MARGIN * rtol, m=20, k=10, maxiter=150, M=M, CU=carried, discard_C=True)
        return x, applied

    return run
