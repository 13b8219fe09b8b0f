"""Numbers whose squares leave the range of their precision, brought back into it by powers of two.

Such a factor changes no bit of what is computed, as long as nothing overflows or underflows.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

_SAFE = {"f": 20, "d": 128}
"""Binary exponents up to which squares and products of three factors, and what is left of them at the tolerance of an
iteration, stay in the range of the precision."""

_ACCURATE = {"f": 2.0**-90, "d": 2.0**-900}
"""Sums of squares from which on nothing that counts was lost to underflow."""


def exponent(x: Any) -> int:
    """Return ``e`` with ``2ᵉ⁻¹ <= max |xᵢ| < 2ᵉ``; 0 if all are zero, or one is not finite."""
    return binary(magnitude(x))


def binary(size: float) -> int:
    """Return ``e`` with ``2ᵉ⁻¹ <= size < 2ᵉ``; 0 for zero and for what is not finite."""
    return math.frexp(size)[1] if math.isfinite(size) else 0


def magnitude(x: np.ndarray) -> float:
    """Return the largest modulus, of a complex number that of its larger part; NaN if one is NaN."""
    if not x.size:
        return 0.0
    if x.dtype.kind == "c":
        return float(np.maximum(magnitude(x.real), magnitude(x.imag)))
    # NaN is handed on by both; no array of moduli is made.
    return max(float(x.max()), -float(x.min()))


def magnitudes(x: np.ndarray) -> np.ndarray:
    """Return `magnitude` of every row of ``x`` ``(n, …)``, ``(n,)``."""
    if x.size == 0:
        return np.zeros(len(x))
    axes = tuple(range(1, x.ndim))
    parts = (x.real, x.imag) if x.dtype.kind == "c" else (x,)
    found: np.ndarray = np.max([np.maximum(part.max(axis=axes), -part.min(axis=axes)) for part in parts], axis=0)
    return found


def shifted(x: np.ndarray, power: int) -> np.ndarray:
    """Return ``2ᵖ x``; the array itself for ``p = 0``. What leaves the range becomes infinite or zero."""
    if power == 0:
        return x
    with np.errstate(over="ignore", under="ignore"):
        if x.dtype.kind == "c":
            found = np.empty_like(x)
            found.real, found.imag = np.ldexp(x.real, power), np.ldexp(x.imag, power)
            return found
        return np.asarray(np.ldexp(x, power))


def power(value: float, exponent: int) -> float:
    """Return ``2ᵉ value``, infinite or zero where it leaves the range."""
    with np.errstate(over="ignore", under="ignore"):
        return float(np.ldexp(value, exponent))


def safe(exponent: int, dtype: np.dtype) -> bool:
    """Whether numbers of this binary exponent may be squared and multiplied as they are."""
    return abs(exponent) <= _SAFE[dtype.char.lower()]


def norm(x: np.ndarray) -> float:
    """Return the Euclidean norm of a vector, whatever its scale.

    It takes one pass unless the squares leave the range; `numpy.linalg.norm` costs as much as a matrix-vector product
    on small systems.
    """
    square = np.vdot(x, x).real
    if _ACCURATE[x.dtype.char.lower()] <= square < np.inf:
        return math.sqrt(square)
    largest = magnitude(x)
    if largest == 0 or not math.isfinite(largest):
        return largest
    e = exponent(x)
    small = shifted(x, -e)
    return power(math.sqrt(np.vdot(small, small).real), e)


def norms(x: np.ndarray) -> np.ndarray:
    """Return the Euclidean norm of every sample, ``(n,)``, of fields ``(n, *shape)``, whatever its scale."""
    with np.errstate(over="ignore", under="ignore"):
        squares = np.sum(np.square(np.abs(x) if x.dtype.kind == "c" else x), axis=tuple(range(1, x.ndim)))
    found: np.ndarray = np.sqrt(squares)
    for i in np.flatnonzero(~((squares >= _ACCURATE[x.dtype.char.lower()]) & (squares < np.inf))):
        found[i] = norm(x[i].ravel())
    return found
