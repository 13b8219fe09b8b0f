"""PETSc in a process of its own: Debian's petsc4py is built for the system's Python and another numpy."""

from __future__ import annotations

import json
import os
import subprocess
import tempfile
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.method import MARGIN, Answer, Method, Step
from compute.solvers.systems import Systems

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


class Server:
    """The process and its pipe."""

    def __init__(self) -> None:
        # Debian keeps the petsc4py of real numbers outside of the interpreter's own path.
        path = os.environ.get("PETSC_PYTHONPATH") or ":".join(sorted(map(str, Path("/usr/lib").glob(_DEBIAN))))
        environment = os.environ | {"PYTHONPATH": path}
        command = [PYTHON, str(Path(__file__).with_name("petsc_server.py"))]
        # Not a pipe: nobody reads along, and a full one would stop the process.
        self.errors = tempfile.TemporaryFile()  # noqa: SIM115  it lives as long as the process
        try:
            self.process = subprocess.Popen(
                command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self.errors, env=environment
            )
            self.versions = self.receive()
        except (OSError, EOFError) as error:
            self.errors.close()
            raise ImportError(f"petsc4py does not start with {PYTHON} and PYTHONPATH={path}: {error}") from error

    def receive(self) -> dict[str, Any]:
        """Read a line of JSON."""
        line = self.process.stdout.readline()  # type: ignore[union-attr]
        if not line:
            self.process.communicate()
            self.errors.seek(0)
            said = self.errors.read().decode().strip().splitlines()
            raise EOFError(said[-1] if said else f"the process ended with status {self.process.returncode}")
        return json.loads(line)

    def ask(self, request: dict[str, Any], arrays: list[np.ndarray], count: int) -> tuple[dict[str, Any], np.ndarray]:
        """Send a request, and read the account and ``count`` numbers."""
        pipe = self.process.stdin
        assert pipe is not None
        pipe.write(json.dumps(request).encode() + b"\n")
        for array in arrays:
            pipe.write(np.ascontiguousarray(array).data)
        pipe.flush()
        account = self.receive()
        read = self.process.stdout.read(8 * count)  # type: ignore[union-attr]
        return account, np.frombuffer(read, dtype="<f8")


@cache
def server() -> Server:
    """Return the process, started at the first call."""
    return Server()


def about() -> str:
    versions = server().versions
    return f"PETSc {versions['petsc']} (python {versions['python']}, numpy {versions['numpy']})"


@dataclass
class Ksp(Method):
    """A Krylov solver and preconditioner of PETSc, by their options.

    The matrix keeps its place between systems, so PETSc keeps what the preconditioner knows of the pattern; with
    ``constant`` the preconditioner is set up once.
    """

    name: str
    options: dict[str, str]
    rtol: float
    constant: bool
    maxiter: int = 3000
    group: str = "iterative"
    reuses: bool = True
    carries: bool = False

    def begin(self, step: Step) -> None:
        del step
        self.begun = False

    def restart(self) -> None:
        """Do nothing: a KSP starts every system from zero."""

    def solve(self, step: Step) -> Answer:
        pattern = step.systems.operators.pattern
        changed = not (self.begun and self.constant)
        request = {
            "method": self.name,
            "options": self.options,
            "size": pattern.size,
            "entries": len(pattern.indices),
            "count": len(step.rhs),
            "rtol": MARGIN * self.rtol,
            "maxiter": self.maxiter,
            "fresh": not self.begun,
            "changed": changed,
        }
        self.begun = True
        arrays = [pattern.indptr, pattern.indices, step.matrix.data, step.rhs]
        account, x = server().ask(request, arrays, step.rhs.size)
        return Answer(
            x.reshape(step.rhs.shape),
            account["seconds"],
            account["setup"] if changed else None,
            account["iterations"],
            "" if account["reason"] == 2 else f"PETSc's converged reason {account['reason']}",
        )


def methods(systems: Systems, rtol: float) -> list[Method]:
    operators = systems.operators
    if operators.symmetric and operators.definite:
        chosen = _DEFINITE | (_DEFINITE_3D if len(operators.shape) == 3 else {}) | _GMRES_ILU
    elif operators.definite:
        chosen = _BICGSTAB_ILU | _GMRES_HYPRE | _GMRES_ILU
    else:
        chosen = _BICGSTAB_ILU | _GMRES_ILU
    return [Ksp(f"PETSc {name}", options, rtol, operators.constant) for name, options in chosen.items()]
