"""hypre's multigrid for structured grids, PFMG and SMG, around its Krylov methods, in a process of its own."""

from __future__ import annotations

import sys
from functools import cache, partial
from pathlib import Path

import numpy as np

from benchmarks.method import Method, Step
from benchmarks.peers.process import Process, Remote
from ritz.compute.solvers.operators import Stencil
from ritz.compute.solvers.systems import Systems

# Symmetric red-black Gauss–Seidel and hypre's own sweeps; and without relaxation on levels that need none.
_CYCLES = {
    "PFMG": ("PFMG", {"RelaxType": 2, "NumPreRelax": 1, "NumPostRelax": 1}),
    "PFMG, skip": ("PFMG", {"RelaxType": 2, "NumPreRelax": 1, "NumPostRelax": 1, "SkipRelax": 1, "RAPType": 0}),
    "SMG": ("SMG", {"NumPreRelax": 1, "NumPostRelax": 1}),
}


@cache
def process() -> Process:
    """Return the process, started at the first call."""
    # The file's name has the version; the one with 64-bit integers is another library.
    found = sorted(Path("/usr/lib").glob("*/libHYPRE-*.so"))
    if not found:
        raise ImportError("libHYPRE is not in /usr/lib")
    return Process("hypre.py", sys.executable, str(found[-1]))


def about() -> str:
    return f"hypre {process().versions['hypre']}"


def methods(systems: Systems, rtol: float) -> list[Method]:
    operators = systems.operators
    if not (isinstance(operators, Stencil) and operators.definite and len(operators.shape) > 1):
        return []
    krylov = "PCG" if operators.symmetric else "BiCGSTAB"
    row = partial(Remote, process=process, rtol=rtol, constant=operators.constant, arrays=_stencil)
    return [
        row(
            f"hypre {krylov} + {name}",
            options={"shape": operators.shape, "cycle": cycle, "krylov": krylov, "settings": settings},
        )
        for name, (cycle, settings) in _CYCLES.items()
    ]


def _stencil(step: Step) -> list[np.ndarray]:
    operators = step.systems.operators
    assert isinstance(operators, Stencil)
    return [operators.coefficients[0], step.rhs]
