from __future__ import annotations

from typing import Literal

from ritz.compute.solvers.operators import Operators
from ritz.compute.solvers.preconditioners.preconditioner import Preconditioner


class NoPreconditioner(Preconditioner):
    """Nothing: the Krylov method sees the operator itself."""

    kind: Literal["none"] = "none"

    def inverse(self, operators: Operators, i: int) -> None:
        """Return nothing; see `Preconditioner.inverse`."""
        del operators, i
