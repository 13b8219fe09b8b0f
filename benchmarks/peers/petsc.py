"""PETSc with hypre and MUMPS, in a process of its own: Debian's petsc4py is for another Python and numpy."""

from __future__ import annotations

import os
from functools import cache, partial
from pathlib import Path

from benchmarks.method import Method
from benchmarks.peers.process import Process, Remote
from ritz.compute.solvers.systems import Systems

PYTHON = os.environ.get("PETSC_PYTHON", "/usr/bin/python3")
"""Interpreter that has petsc4py."""
_DEBIAN = "petscdir/petsc*/*-real/lib/python3/dist-packages"

_RIGHT = {"ksp_pc_side": "right", "ksp_norm_type": "unpreconditioned"}
_CG = {"ksp_type": "cg", "ksp_norm_type": "unpreconditioned"}
_GMRES = {"ksp_type": "gmres", **_RIGHT}
_BICGSTAB = {"ksp_type": "bcgs", **_RIGHT}
_HYPRE = {"pc_type": "hypre", "pc_hypre_type": "boomeramg"}
# What hypre's manual advises for three dimensions.
_HYPRE_3D = {
    "pc_hypre_boomeramg_strong_threshold": "0.5",
    "pc_hypre_boomeramg_coarsen_type": "HMIS",
    "pc_hypre_boomeramg_interp_type": "ext+i",
    "pc_hypre_boomeramg_P_max": "4",
    "pc_hypre_boomeramg_agg_nl": "1",
}


def _ilu(levels: int) -> dict[str, str]:
    return {"pc_type": "ilu", "pc_factor_levels": str(levels)}


_GMRES_ILU = {"GMRES(30) + ILU(0)": {**_GMRES, "ksp_gmres_restart": "30", **_ilu(0)}}
_DEFINITE = {
    "CG + hypre": {**_CG, **_HYPRE},
    # PETSc's default keeps the interpolation of the first matrix of a pattern; on sharp jumps that breaks down.
    "CG + GAMG": {**_CG, "pc_type": "gamg", "pc_gamg_reuse_interpolation": "false"},
    "CG + GAMG, interpolation kept": {**_CG, "pc_type": "gamg", "pc_gamg_reuse_interpolation": "true"},
    "CG + ICC(0)": {**_CG, "pc_type": "icc", "pc_factor_levels": "0"},
}
_DEFINITE_3D = {"CG + hypre, settings for 3D": {**_CG, **_HYPRE, **_HYPRE_3D}}
_BICGSTAB_ILU = {f"BiCGStab + ILU({levels})": {**_BICGSTAB, **_ilu(levels)} for levels in (2, 0)}
_GMRES_HYPRE = {"GMRES(30) + hypre": {**_GMRES, "ksp_gmres_restart": "30", **_HYPRE}}


def _mumps(symmetric: bool) -> dict[str, str]:
    """Return the options of MUMPS with METIS' nested dissection; PETSc tells it whether the matrix is definite."""
    return {
        "ksp_type": "preonly",
        "pc_type": "cholesky" if symmetric else "lu",
        "pc_factor_mat_solver_type": "mumps",
        "mat_mumps_icntl_7": "5",
    }


@cache
def process() -> Process:
    """Return the process, started at the first call."""
    # Debian keeps the petsc4py of real numbers outside of the interpreter's own path.
    path = os.environ.get("PETSC_PYTHONPATH") or ":".join(sorted(map(str, Path("/usr/lib").glob(_DEBIAN))))
    return Process("petsc.py", PYTHON, environment={"PYTHONPATH": path})


def about() -> str:
    versions = process().versions
    return f"PETSc {versions['petsc']} (python {versions['python']}, numpy {versions['numpy']})"


def methods(systems: Systems, rtol: float) -> list[Method]:
    operators = systems.operators
    if operators.symmetric and operators.definite:
        chosen = _DEFINITE | (_DEFINITE_3D if len(operators.shape) == 3 else {}) | _GMRES_ILU
    elif operators.definite:
        chosen = _BICGSTAB_ILU | _GMRES_HYPRE | _GMRES_ILU
    else:
        chosen = _BICGSTAB_ILU | _GMRES_ILU
    row = partial(Remote, process=process, rtol=rtol, constant=operators.constant)
    return [
        *(row(f"PETSc {name}", options=options) for name, options in chosen.items()),
        row("MUMPS, METIS", options=_mumps(operators.symmetric), group="direct"),
    ]
