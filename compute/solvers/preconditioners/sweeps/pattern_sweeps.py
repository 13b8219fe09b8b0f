"""Incomplete factorisation on a given sparsity pattern and triangular sweeps with its factors, compiled.

Matrices are CSR with sorted columns; ``diagonal`` holds the place of every row's diagonal entry.
"""

from __future__ import annotations

import numpy as np

from ritz.compute.solvers.kernel import kernel


@kernel
def factor(entries: np.ndarray, indptr: np.ndarray, indices: np.ndarray, diagonal: np.ndarray) -> np.ndarray:
    """Return ILU(0): the strict lower triangle of L, whose diagonal is 1, and the upper triangle U, on the pattern."""
    size = len(diagonal)
    found = entries.copy()
    place = np.full(size, -1, np.int64)
    for row in range(size):
        start, stop = indptr[row], indptr[row + 1]
        for at in range(start, stop):
            place[indices[at]] = at
        for at in range(start, diagonal[row]):
            above = indices[at]
            found[at] /= found[diagonal[above]]
            for other in range(diagonal[above] + 1, indptr[above + 1]):
                target = place[indices[other]]
                if target >= 0:
                    found[target] -= found[at] * found[other]
        for at in range(start, stop):
            place[indices[at]] = -1
    return found


@kernel
def forward(
    entries: np.ndarray, indptr: np.ndarray, indices: np.ndarray, diagonal: np.ndarray, v: np.ndarray, t: np.ndarray
) -> None:
    """Solve ``L t = v`` with the lower factor."""
    for row in range(len(diagonal)):
        value = v[row]
        for at in range(indptr[row], diagonal[row]):
            value -= entries[at] * t[indices[at]]
        t[row] = value


@kernel
def backward(
    entries: np.ndarray,
    indptr: np.ndarray,
    indices: np.ndarray,
    diagonal: np.ndarray,
    inverse: np.ndarray,
    t: np.ndarray,
    s: np.ndarray,
) -> None:
    """Solve ``U s = t`` with the upper factor, the inverses of whose diagonal are ``inverse``."""
    for backwards in range(1, len(diagonal) + 1):
        row = len(diagonal) - backwards
        value = t[row]
        for at in range(diagonal[row] + 1, indptr[row + 1]):
            value -= entries[at] * s[indices[at]]
        s[row] = value * inverse[row]
