"""Algebraic multigrid of pyamg as preconditioner of conjugate gradients, set up anew for every matrix."""

from __future__ import annotations

from functools import partial
from importlib.metadata import version
from typing import Any

import numpy as np
import pyamg

from benchmarks.method import MARGIN, Method, Peer, Run, Step
from ritz.compute.solvers.systems import Systems

_KINDS = {"Ruge–Stüben": pyamg.ruge_stuben_solver, "smoothed aggregation": pyamg.smoothed_aggregation_solver}


def about() -> str:
    return f"pyamg {version('pyamg')}"


def methods(systems: Systems, rtol: float) -> list[Method]:
    operators = systems.operators
    if not (operators.symmetric and operators.definite):
        return []
    return [
        Peer(f"pyamg CG + {name}", "iterative", partial(_prepare, build, rtol), constant=operators.constant)
        for name, build in _KINDS.items()
    ]


def _prepare(build: Any, rtol: float, step: Step, analysis: None) -> Run:
    del analysis
    hierarchy = build(step.matrix)

    def run(rhs: np.ndarray) -> tuple[np.ndarray, int]:
        history: list[float] = []
        x = hierarchy.solve(rhs, tol=MARGIN * rtol, accel="cg", maxiter=200, residuals=history)
        return x, len(history) - 1

    return run
