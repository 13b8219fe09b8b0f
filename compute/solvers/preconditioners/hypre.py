from __future__ import annotations

from importlib.util import find_spec
from typing import TYPE_CHECKING, ClassVar, Literal

import numpy as np
from pydantic import Field

from ritz.compute.kind import Source
from ritz.compute.solvers.operators import Operators
from ritz.compute.solvers.preconditioners.preconditioner import Preconditioner

if TYPE_CHECKING:
    from ritz.compute.solvers.preconditioners.inverse import ApproximateInverse

_PREFIX = "ritz_"
"""Of the options in PETSc's database that are meant for this preconditioner alone."""


class Hypre(Preconditioner):
    """One V-cycle of hypre's BoomerAMG, through PETSc, of real operators.

    Settings that are no field here are PETSc's defaults for ``-pc_type hypre``, its symmetric smoother among them.
    """

    sources: ClassVar[tuple[Source, ...]] = (
        Source(
            "V. E. Henson, U. M. Yang",
            "BoomerAMG: a parallel algebraic multigrid solver and preconditioner",
            2002,
            "Appl. Numer. Math. 41",
        ),
    )

    kind: Literal["hypre"] = "hypre"
    threshold: float = Field(default=0.25, gt=0, lt=1)
    """A coupling is strong from this part of a row's strongest on; about 0.5 suits three dimensions."""
    coarsening: Literal["Falgout", "PMIS", "HMIS"] = "Falgout"
    """How the points of the next level are chosen."""
    interpolation: Literal["classical", "ext+i"] = "classical"
    """How a level is interpolated from the next; the latter goes with PMIS and HMIS."""

    def unfit(self, operators: Operators) -> str:
        """Return what keeps it from preconditioning such operators; see `Preconditioner.unfit`."""
        if not find_spec("petsc4py"):
            return (
                "preconditioner 'hypre' needs petsc4py and a PETSc with hypre: install ritz[petsc] where PETSC_DIR "
                "names one"
            )
        if operators.dtype.kind == "c":
            return "preconditioner 'hypre' takes real operators, these are complex"
        return ""

    def inverse(self, operators: Operators, i: int) -> ApproximateInverse:
        """Return what applies the cycle; see `Preconditioner.inverse`.

        Raises
        ------
        ImportError
            If petsc4py is installed but was not built for the installed numpy.
        ValueError
            If PETSc was built without hypre.
        """
        from petsc4py import PETSc

        from ritz.compute.solvers.preconditioners.inverse import ApproximateInverse
        from ritz.compute.solvers.preconditioners.work import CYCLE, HIERARCHY

        if "hypre" not in PETSc.PC.Type.__dict__.values():
            raise ValueError("this petsc4py knows no preconditioner hypre")
        pattern, size = operators.pattern, operators.pattern.size
        rows = (pattern.indptr, pattern.indices, operators.entries(i))
        matrix = PETSc.Mat().createAIJ((size, size), csr=rows, comm=PETSc.COMM_SELF)
        cycle = PETSc.PC().create(PETSc.COMM_SELF)
        cycle.setOptionsPrefix(_PREFIX)
        cycle.setType("hypre")
        cycle.setHYPREType("boomeramg")
        cycle.setOperators(matrix)
        options = PETSc.Options(_PREFIX)
        for name, value in self._options().items():
            options.setValue(name, value)
        cycle.setFromOptions()
        cycle.setUp()
        given, found = matrix.createVecs()

        def solve(v: np.ndarray) -> np.ndarray:
            given.setArray(v)
            cycle.apply(given, found)
            values: np.ndarray = found.getArray().copy()
            return values

        return ApproximateInverse(solve, operators, i, made=HIERARCHY, applied=CYCLE)

    def _options(self) -> dict[str, float | str]:
        """Return PETSc's options, which are the only way to set hypre's parameters."""
        return {
            "pc_hypre_boomeramg_strong_threshold": self.threshold,
            "pc_hypre_boomeramg_coarsen_type": self.coarsening,
            "pc_hypre_boomeramg_interp_type": self.interpolation,
        }
