from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from compute.solvers.operators import Operators


@dataclass(frozen=True)
class Systems:
    """A batch of linear systems ``A_i x_i = b_i`` of one size, in the order in which they are to be solved.

    Attributes
    ----------
    operators
        The ``n`` matrices.
    rhs
        ``(n, *operators.shape)`` right-hand sides, float64 (complex128 for complex problems).
    guess
        First guesses in the shape of ``rhs``, such as the solutions of the time step before, or None. An
        iterative solver starts from them.
    """

    operators: Operators
    rhs: np.ndarray
    guess: np.ndarray | None = None

    def __post_init__(self) -> None:
        expected = (len(self.operators), *self.operators.shape)
        if self.rhs.shape != expected:
            raise ValueError(f"rhs has shape {self.rhs.shape}, expected {expected}: one right-hand side an operator")
        if self.rhs.dtype not in (np.float64, np.complex128):
            raise ValueError(f"rhs has dtype {self.rhs.dtype}, expected float64 or complex128")
        if self.guess is not None and self.guess.shape != self.rhs.shape:
            raise ValueError(f"guess has shape {self.guess.shape}, expected that of rhs, {self.rhs.shape}")

    def __len__(self) -> int:
        """Return the number of systems."""
        return len(self.operators)

    def take(self, index: slice | np.ndarray) -> Systems:
        """Return some of the systems, in the given order."""
        guess = None if self.guess is None else self.guess[index]
        return Systems(self.operators.take(index), self.rhs[index], guess)
