from __future__ import annotations

import logging
import math
from dataclasses import dataclass, replace

import numpy as np

from ritz.compute.solvers.operators import Operators
from ritz.compute.solvers.scaling import binary, magnitude, magnitudes, safe, shifted

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Systems:
    """A batch of linear systems ``A_i x_i = b_i`` of one size, in the order in which they are to be solved.

    Attributes
    ----------
    operators
        The ``n`` matrices.
    rhs
        ``(n, *operators.shape)`` right-hand sides, float64 (complex128 for complex problems). Of operators on a
        device they are tensors of torch there, which `ritz.compute.solvers.certify.certify` takes; `finite` and
        `balanced` take NumPy arrays alone.
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
        if str(self.rhs.dtype).removeprefix("torch.") not in ("float64", "complex128"):
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

    def finite(self) -> np.ndarray:
        """Return whether matrix and right-hand side of every system have finite entries, ``(n,)``."""
        values: np.ndarray = np.isfinite(self._sizes()).all(axis=0)
        return values

    def _sizes(self) -> np.ndarray:
        """Return the largest moduli of the matrices and of the right-hand sides, ``(2, n)``."""
        return np.stack([self.operators.magnitudes, magnitudes(self.rhs)])

    def balanced(self) -> tuple[Systems, np.ndarray, np.ndarray]:
        """Bring systems whose numbers may not be squared without leaving the range of their precision back into it.

        Those are solved as ``(2ᵃ A) (2ˢ x) = 2ᵃ⁺ˢ b`` with entries of about one. A guess that is not finite, or so
        large there that nothing of ``b`` would be left beside what ``A`` takes it to, becomes zero.

        Returns
        -------
        systems
            These themselves where all numbers are moderate.
        shifts
            ``(n,)`` the exponents ``s``; what is found is to be multiplied by ``2⁻ˢ``.
        finite
            ``(n,)`` whether matrix and right-hand side have finite entries.
        """
        operators, dtype, sizes = self.operators, self.rhs.dtype, self._sizes()
        of_A, of_b = ([binary(size) for size in row] for row in sizes)
        shift_A = np.array([0 if safe(e, dtype) else -e for e in of_A], dtype=int)
        if shift_A.any():
            # A matrix whose entries lie too far apart to be moved without a loss stays what it is.
            kept = self._movable(shift_A)
            shift_A, of_b = np.where(kept, shift_A, 0), list(np.where(kept, of_b, 0))
        calm = np.array([safe(e, dtype) for e in of_b], dtype=bool) & (shift_A == 0)
        shift_x = np.where(calm, 0, -np.array(of_b, dtype=int) - shift_A)
        moved = Systems(operators.scaled(shift_A), self.rhs, self.guess) if shift_A.any() else self
        if not calm.all():
            shifts = shift_A + shift_x
            moved = replace(moved, rhs=np.stack([shifted(b, int(p)) for b, p in zip(self.rhs, shifts, strict=True)]))
        moved = moved if self.guess is None else moved._guessed(shift_x)
        return moved, shift_x, np.isfinite(sizes).all(axis=0)

    def _movable(self, powers: np.ndarray) -> np.ndarray:
        """Return whether the entries of every matrix times ``2ᵖ`` keep all their digits, ``(n,)``."""
        operators, count = self.operators, len(self)

        def movable(i: int) -> bool:
            entries = operators.entries(i)
            return np.array_equal(shifted(shifted(entries, int(powers[i])), -int(powers[i])), entries)

        return np.full(count, movable(0)) if operators.constant else np.array([movable(i) for i in range(count)])

    def _guessed(self, shifts: np.ndarray) -> Systems:
        """Return the systems with their guesses multiplied by powers of two, and useless ones replaced by zero."""
        assert self.guess is not None
        fresh: dict[int, np.ndarray] = {}
        for i, guess in enumerate(self.guess):
            size, shift = magnitude(guess), int(shifts[i])
            if not math.isfinite(size) or not safe(binary(size) + shift if size else 0, guess.dtype):
                # One that is far too small is as good as zero.
                log.info("system %d: its first guess, up to %.1e, is of no use: it begins at zero", i, size)
                fresh[i] = np.zeros_like(guess)
            elif shift:
                fresh[i] = shifted(guess, shift)
        if not fresh:
            return self
        return replace(self, guess=np.stack([fresh.get(i, guess) for i, guess in enumerate(self.guess)]))
