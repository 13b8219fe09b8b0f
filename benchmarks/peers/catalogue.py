"""All peers, each from a file of its own, and which of them are missing here."""

from __future__ import annotations

import importlib

from benchmarks.method import Method
from ritz.compute.solvers.systems import Systems

PEERS = {
    "PETSc": "petsc",
    "PARDISO": "pardiso",
    "CHOLMOD": "cholmod",
    "SuperLU": "superlu",
    "pyamg": "amg",
    "hypre's structured multigrid": "hypre",
    "AMGCL": "amgcl",
    "SciPy's Krylov solvers": "krylov",
}
"""Their modules, by name."""


def versions() -> tuple[list[str], dict[str, str]]:
    """Load all peers; return the versions of those that are there and, by name, why one is missing."""
    found, missing = [], {}
    for name, module in PEERS.items():
        try:
            found.append(importlib.import_module(f"benchmarks.peers.{module}").about())
        except ImportError as error:
            missing[name] = str(error)
    return list(dict.fromkeys(found)), missing


def methods(systems: Systems, rtol: float, missing: dict[str, str]) -> list[Method]:
    """Return what the peers that are not missing have for a sequence of systems."""
    found: list[Method] = []
    for name, module in PEERS.items():
        if name not in missing:
            found += importlib.import_module(f"benchmarks.peers.{module}").methods(systems, rtol)
    return found
