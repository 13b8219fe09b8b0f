from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING

from ritz.compute.kind import Kind
from ritz.compute.solvers.operators import Operators

if TYPE_CHECKING:
    from ritz.compute.solvers.preconditioners.inverse import ApproximateInverse


class Preconditioner(Kind, ABC):
    """What a Krylov method is preconditioned with, made anew for every operator."""

    kind: str

    def unfit(self, operators: Operators) -> str:
        """Return what keeps it from preconditioning such operators, in a few words; ``""`` if nothing does.

        That is asked before any `inverse`: properties of the operators that it lacks, and libraries with how to get
        them.
        """
        del operators
        return ""

    @abstractmethod
    def inverse(self, operators: Operators, i: int) -> ApproximateInverse | None:
        """Return an approximate inverse of one operator.

        Parameters
        ----------
        operators, i
            The matrix is operator ``i``; they are not `unfit`.

        Returns
        -------
        ApproximateInverse
            Applies it to vectors and blocks; None stands for the identity.

        Raises
        ------
        FloatingPointError
            If this operator has none, for want of a pivot: its system is given to the fallback.
        """
