from __future__ import annotations

import math
from collections.abc import Callable
from numbers import Real
from typing import Any

import numpy as np
import scipy.sparse as sp
from scipy.sparse.linalg import LinearOperator, aslinearoperator

from ritz.compute.solvers.scaling import binary, exponent, magnitude, norm, power, safe, shifted


class OutOfRange(Exception):
    """The first product with an operator shows that it has to be scaled; see `attempted`."""


class System:
    """The checked arguments of a Krylov solve, its current iterate ``x`` and what has been done for it.

    Arguments are those of `ritz.compute.solvers.krylov.gcrodr`; each is checked and named in the ValueError raised.

    Where numbers are so large or so small that their squares may leave the range of the working precision, all are
    multiplied by powers of two: what the methods see is ``(2ᵃ A) (2ˢ x) = 2ᵃ⁺ˢ b`` with entries and residuals of about
    one. `solution` and `iterate` have the units of the caller. A guess that is so large that rounding leaves nothing of
    ``b`` in its residual is replaced by zero.

    Attributes
    ----------
    size, dtype
        Number of unknowns, and the common floating-point type in which they are computed.
    A, M
        Operator and preconditioner, None for none.
    b, x
        ``(size,)`` right-hand side and current iterate.
    norm, tolerance
        ‖b‖, and the norm of the residual that is wanted.
    zero
        Whether ``b`` is zero; ``x`` is the answer then, whatever the guess.
    iterations, matvecs
        Steps, and applications of ``A``, done so far.
    """

    def __init__(self, A: Any, b: Any, x0: Any, M: Any, rtol: float, atol: float) -> None:
        largest = {"A": _largest("A", A), "M": _largest("M", M)}
        for name, value in (("rtol", rtol), ("atol", atol)):
            if not isinstance(value, (Real, np.ndarray)) or not value >= 0:
                raise ValueError(f"{name} is {value!r}, expected a number of at least 0")
        self._given: tuple[Any, Any] = (A, M)
        self.A: LinearOperator = aslinearoperator(A)
        if self.A.shape[0] != self.A.shape[1]:
            raise ValueError(f"A has shape {self.A.shape}, expected a square matrix")
        self.size: int = self.A.shape[0]
        inverse = None if M is None else aslinearoperator(M)
        if inverse is not None and inverse.shape != self.A.shape:
            raise ValueError(f"M has shape {inverse.shape}, expected that of A, {self.A.shape}")
        b = np.asarray(b)
        types = [self.A.dtype, b.dtype] + ([] if inverse is None else [inverse.dtype])
        common = np.result_type(*types)
        self.dtype = np.dtype(common if common.char in "fdFD" else "D" if common.kind == "c" else "d")
        self._rhs = self._vector("b", b)
        self._tolerances = float(rtol), float(atol)
        # The guess is 2ᵉ times a vector, so that "Mb" is one whatever the scale of b.
        self._guess, self._guess_exponent = self._start(x0)
        # Where no entries are known the first product tells the scale.
        self._gauged = {name for name, size in largest.items() if size > 0}
        self._scale(*(binary(largest[name]) for name in ("A", "M")))
        self.iterations = self.matvecs = 0

    def _vector(self, name: str, value: np.ndarray) -> np.ndarray:
        """Return an argument as a flat vector of the working type."""
        if value.shape not in ((self.size,), (self.size, 1)):
            raise ValueError(f"{name} has shape {value.shape}, expected ({self.size},) or ({self.size}, 1)")
        if np.iscomplexobj(value) and self.dtype.kind != "c":
            raise ValueError(f"{name} is complex, A and b are real")
        with np.errstate(over="ignore"):
            vector = value.astype(self.dtype, copy=False).ravel()
        if not np.isfinite(vector).all():
            raise ValueError(f"{name} has entries that are NaN or infinite")
        return vector

    def _start(self, x0: Any) -> tuple[np.ndarray | None, int]:
        if x0 is None:
            return None, 0
        if not isinstance(x0, str):
            return self._vector("x0", np.asarray(x0)), 0
        if x0 != "Mb":
            raise ValueError(f"x0 is {x0!r}, expected a vector, None or 'Mb'")
        if self._given[1] is None:
            return self._rhs, 0
        e = exponent(self._rhs)
        e = 0 if safe(e, self.dtype) else e
        product = _product(self._given[1], aslinearoperator(self._given[1]))(shifted(self._rhs, -e))
        return np.asarray(product).astype(self.dtype, copy=False), e

    def _scale(self, of_A: int, of_M: int) -> None:
        """Choose the units, knowing the binary exponents of the operator and the preconditioner; begin at the guess."""
        of_b, guess = exponent(self._rhs), self._guess
        self._exponents = of_A, of_M
        reach = of_b - of_A
        guessed = guess is not None and bool(guess.any())
        of_guess = exponent(guess) + self._guess_exponent if guess is not None and guessed else 0
        fine = all(safe(e, self.dtype) for e in (of_A, of_b, of_guess))
        if guessed and not fine and of_guess > reach:
            # What A takes the guess to is larger than b; far more so, and nothing of b is left beside it.
            guessed = safe((of_guess - reach) // 2, self.dtype)
            reach = of_guess if guessed else reach
        self.shift_A, self.shift_x = (0, 0) if fine else (-of_A, -reach)
        self.shift_M = 0 if safe(of_M, self.dtype) else -of_M
        A, M = self._given
        self.A, self._product = _scaled(A, self.shift_A, self.dtype)
        self.M: LinearOperator | None = None
        self._inverse: Callable[[np.ndarray], np.ndarray] | None = None
        if M is not None:
            self.M, self._inverse = _scaled(M, self.shift_M, self.dtype)
        self.b = shifted(self._rhs, self.shift_A + self.shift_x)
        self.norm = norm(self.b)
        rtol, atol = self._tolerances
        wanted = power(atol, self.shift_A + self.shift_x)
        self.tolerance = max(rtol * self.norm if self.norm else 0.0, wanted)
        self.zero = not self._rhs.any()
        if guess is None or not guessed or self.zero:
            self.x = np.zeros(self.size, dtype=self.dtype)
        else:
            self.x = shifted(guess, self._guess_exponent + self.shift_x)
            self.x = self.x.copy() if np.shares_memory(self.x, guess) else self.x

    def rescale(self) -> None:
        """Begin again in the units that the first products asked for."""
        self._scale(*self._exponents)

    def _gauge(self, which: str, v: np.ndarray, product: np.ndarray) -> None:
        """Look at the first product with an operator, whose entries are not known, and ask for other units."""
        self._gauged.add(which)
        apply = self._product if which == "A" else self._inverse
        assert apply is not None
        far = _HALF[self.dtype.char.lower()]
        for moved in (0, -far, far):
            with np.errstate(over="ignore", under="ignore", invalid="ignore"):
                tried = product if moved == 0 else np.asarray(apply(shifted(v, moved)))
            largest = magnitude(tried)
            if largest > 0 and math.isfinite(largest):
                break
        else:
            return
        e = exponent(tried) - exponent(v) - moved
        # An operator that takes a vector to nearly nothing need not be small.
        if not safe(e, self.dtype):
            of_A, of_M = self._exponents
            self._exponents = (of_A + e, of_M) if which == "A" else (of_A, of_M + e)
            raise OutOfRange

    def apply(self, v: np.ndarray) -> np.ndarray:
        """Return ``A v`` in the working type."""
        self.matvecs += 1
        product = self._product(v).astype(self.dtype, copy=False)
        if "A" not in self._gauged:
            self._gauge("A", v, product)
        return product

    def precondition(self, v: np.ndarray) -> np.ndarray:
        """Return ``M v`` in the working type, or ``v`` itself without a preconditioner."""
        if self._inverse is None:
            return v
        product = self._inverse(v).astype(self.dtype, copy=False)
        if "M" not in self._gauged:
            self._gauge("M", v, product)
        return product

    def residual(self) -> np.ndarray:
        """Return ``b − A x`` as an array of its own; that costs a product with ``A`` unless ``x`` is zero."""
        return self.b - self.apply(self.x) if self.x.any() else self.b.copy()

    def iterate(self) -> np.ndarray:
        """Return a copy of the iterate in the units of the caller."""
        return self.x.copy() if self.shift_x == 0 else shifted(self.x, -self.shift_x)

    def solution(self, info: int) -> tuple[np.ndarray, int]:
        """Return the iterate in the units of the caller, and ``info``; a breakdown if the range cannot hold it."""
        if self.shift_x == 0:
            return self.x, info
        x = self.iterate()
        self.x = shifted(x, self.shift_x)
        if info == 0 and not (np.isfinite(x).all() and (self.zero or norm(self.residual()) <= self.tolerance)):
            return x, _LOST
        return x, info


_LOST = -1
_HALF = {"f": 60, "d": 500}
"""About half of the range of binary exponents: so far a vector may be moved."""


def attempted(system: System, iterate: Callable[[], int]) -> tuple[np.ndarray, int]:
    """Iterate, again where the first products ask for other units; return solution and info."""
    # Each of the two operators asks at most once.
    while not system.zero:
        try:
            return system.solution(iterate())
        except OutOfRange:
            system.rescale()
    return system.solution(0)


def _largest(name: str, matrix: Any) -> float:
    """Return the largest modulus of a matrix, 0 where the entries are not known."""
    entries = getattr(matrix, "data", None) if sp.issparse(matrix) else matrix
    if not isinstance(entries, np.ndarray) or entries.dtype.kind not in "biufc":
        return 0.0
    largest = magnitude(entries.astype(np.float64) if entries.dtype.kind in "bu" else entries)
    if not math.isfinite(largest):
        raise ValueError(f"{name} has entries that are NaN or infinite")
    return largest


def _scaled(matrix: Any, shift: int, dtype: np.dtype) -> tuple[LinearOperator, Callable[[np.ndarray], np.ndarray]]:
    """Return ``2ᵖ`` times a matrix or operator, and the product of that with a vector."""
    operator = aslinearoperator(matrix)
    if shift == 0:
        return operator, _product(matrix, operator)
    plain = _product(matrix, operator)
    # A part before and a part after the product keep vectors, entries and what is summed in the range.
    before = int(np.clip(shift, -_HALF[dtype.char.lower()], _HALF[dtype.char.lower()]))
    after = shift - before

    def product(v: np.ndarray) -> np.ndarray:
        return shifted(np.asarray(plain(shifted(v, before))).astype(dtype, copy=False), after)

    def block(V: np.ndarray) -> np.ndarray:
        return shifted(np.asarray(operator.matmat(shifted(V, before))).astype(dtype, copy=False), after)

    return LinearOperator(operator.shape, matvec=product, matmat=block, dtype=dtype), product


def _product(matrix: Any, operator: LinearOperator) -> Callable[[np.ndarray], np.ndarray]:
    """Return the product with a vector; SciPy's operator around a matrix takes the slower product with a block."""
    if sp.issparse(matrix):
        result: Callable[[np.ndarray], np.ndarray] = matrix.__matmul__
        return result
    return np.asarray(matrix).__matmul__ if isinstance(matrix, np.ndarray) else operator.matvec


def at_least_one(name: str, value: int) -> int:
    """Return an option that counts something, checked."""
    if value < 1:
        raise ValueError(f"{name} is {value}, expected at least 1")
    return int(value)


def limit(maxiter: int | None, size: int) -> int:
    """Return ``maxiter``, checked, or its default ``10 n``."""
    return 10 * size if maxiter is None else at_least_one("maxiter", maxiter)
