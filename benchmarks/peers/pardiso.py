"""PARDISO of Intel MKL by its best settings, in a process of its own.

The analysis is done once for a pattern; good pivots are not refined, which would take three times as long.
``iparm(24)`` is the factorisation: 0 the classical one, 1 in two levels, 10 the newer one in two levels, which crashes
beside another OpenMP library. ``float32``: factors in single precision, answers refined in double precision to the
tolerance.
"""

from __future__ import annotations

import sys
from functools import cache, partial
from importlib.metadata import PackageNotFoundError, files, version

from benchmarks.method import Method
from benchmarks.peers.process import Process, Remote
from ritz.compute.solvers.systems import Systems

_NONSYMMETRIC, _DEFINITE, _INDEFINITE = 11, 2, -2


@cache
def process() -> Process:
    """Return the process, started at the first call."""
    try:
        found = [file for file in files("mkl") or () if "mkl_rt" in file.name]
    except PackageNotFoundError as error:
        raise ImportError("MKL is not installed") from error
    if not found:
        raise ImportError("MKL has no mkl_rt")
    return Process("pardiso.py", sys.executable, str(found[0].locate()))


def about() -> str:
    process()
    return f"PARDISO of mkl {version('mkl')}"


def methods(systems: Systems, rtol: float) -> list[Method]:
    operators = systems.operators
    if not operators.symmetric:
        kind, name = _NONSYMMETRIC, "PARDISO, nonsymmetric"
    elif operators.definite:
        kind, name = _DEFINITE, "PARDISO, definite"
    else:
        kind, name = _INDEFINITE, "PARDISO, indefinite"
    row = partial(Remote, process=process, rtol=rtol, constant=operators.constant, group="direct")

    def options(two_level: int, single: bool = False, block: bool = False) -> dict[str, int | bool]:
        return {"type": kind, "two_level": two_level, "single": single, "block": block}

    found: list[Method] = [row(f"{name}, iparm(24)={n}", options=options(n)) for n in (0, 1, 10)]
    found += [row(f"{name}, iparm(24)={n}, float32 refined", options=options(n, single=True)) for n in (1, 10)]
    if operators.constant:
        found += [row(f"{name}, iparm(24)={n}, block", options=options(n, block=True)) for n in (1, 10)]
    return found
