from __future__ import annotations

from typing import Literal, Self

import numpy as np
import scipy.sparse.linalg as spla
from pydantic import Field, model_validator

from compute.solvers.krylov import gcrodr
from compute.solvers.operators import Operators
from compute.solvers.preconditioners import ilu, ssor
from compute.solvers.recycling import Recycler
from compute.solvers.sequential import Attempt, Sequential

# The krylov solver and the ledger sum the same residual in different orders; this keeps them on one side of rtol.
_MARGIN = 0.999


class Recycled(Sequential):
    """GCRO-DR with a space of harmonic Ritz vectors carried from system to system.

    The carry is a `Recycler`. See `compute.solvers.krylov.gcrodr` for the method and its source.
    """

    kind: Literal["recycled"] = "recycled"
    restart: int = Field(default=50, ge=2, le=1000)
    """Dimension of the space of one cycle, recycled vectors included."""
    recycle: int = Field(default=20, ge=0, le=500)
    """Vectors carried on; less than ``restart``. 0 is restarted GMRES."""
    preconditioner: Literal["ilu", "ssor", "none"] = "ilu"
    """Applied from the right: ILU(0), symmetric Gauss–Seidel, or nothing."""
    maxiter: int = Field(default=200, ge=1, le=100_000)
    """Cycles after which a system is given up and handed to the direct solver."""

    @model_validator(mode="after")
    def _recycles_less_than_a_cycle(self) -> Self:
        if self.recycle >= self.restart:
            raise ValueError(f"recycle is {self.recycle}, expected less than restart, which is {self.restart}")
        return self

    def attempt(
        self, operators: Operators, i: int, rhs: np.ndarray, *, rtol: float, carry: Recycler | None
    ) -> tuple[Attempt, Recycler]:
        """Answer one system; see `Sequential.attempt`."""
        recycler = Recycler() if carry is None else carry.copy()
        try:
            M = self._approximate_inverse(operators, i)
        except FloatingPointError:
            return Attempt(None, 0, 0, "breakdown"), recycler
        x, info = gcrodr(
            operators.csr(i),
            rhs,
            rtol=_MARGIN * rtol,
            restart=self.restart,
            recycle=self.recycle,
            maxiter=self.maxiter,
            M=M,
            recycler=recycler,
        )
        reason = "" if info == 0 else "not_converged" if info > 0 else "breakdown"
        return Attempt(x, recycler.iterations, recycler.matvecs, reason), recycler

    def _approximate_inverse(self, operators: Operators, i: int) -> spla.LinearOperator | None:
        if self.preconditioner == "ilu":
            return ilu(operators, i)
        if self.preconditioner == "ssor":
            return ssor(operators, i)
        return None
