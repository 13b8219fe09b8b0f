"""AMGCL through pyamgcl: algebraic multigrid around conjugate gradients or BiCGStab, set up anew for every matrix."""

from __future__ import annotations

from functools import partial
from importlib.metadata import version
from typing import Any

import numpy as np
import pyamgcl

from benchmarks.method import MARGIN, Method, Peer, Run, Step
from ritz.compute.solvers.systems import Systems

# Smoothed aggregation with the sparse approximate inverse is what AMGCL takes by itself.
_KINDS = {
    "smoothed aggregation": {"coarsening.type": "smoothed_aggregation", "relax.type": "spai0"},
    "smoothed aggregation, ILU(0)": {"coarsening.type": "smoothed_aggregation", "relax.type": "ilu0"},
    "Ruge–Stüben": {"coarsening.type": "ruge_stuben", "relax.type": "gauss_seidel"},
}


def about() -> str:
    return f"pyamgcl {version('pyamgcl')}"


def methods(systems: Systems, rtol: float) -> list[Method]:
    operators = systems.operators
    if not operators.definite:
        return []
    krylov = "cg" if operators.symmetric else "bicgstab"
    return [
        Peer(
            f"AMGCL {krylov} + {name}",
            "iterative",
            partial(_prepare, krylov, settings, rtol),
            constant=operators.constant,
        )
        for name, settings in _KINDS.items()
    ]


def _prepare(krylov: str, settings: dict[str, str], rtol: float, step: Step, analysis: None) -> Run:
    del analysis
    cycle = pyamgcl.amg(step.matrix, settings)
    solver: Any = pyamgcl.solver(cycle, {"type": krylov, "tol": MARGIN * rtol, "maxiter": 500})

    def run(rhs: np.ndarray) -> tuple[np.ndarray, int]:
        return np.array(solver(rhs)), solver.iters

    return run
