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


@kernel
def filled(indptr: np.ndarray, indices: np.ndarray, fill: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the pattern of ILU(``fill``) and the level of every entry, 0 where the matrix has one.

    An entry that eliminating row ``k`` makes at ``(i, j)`` has the level ``level(i, k) + level(k, j) + 1``, the least
    over all ``k``; those of a higher level than ``fill`` are dropped. The columns of a row are kept as a linked list
    in their order while it grows.
    """
    size = len(indptr) - 1
    starts = np.zeros(size + 1, np.int64)
    columns, levels = np.empty(2 * len(indices) + size, np.int64), np.empty(2 * len(indices) + size, np.int64)
    diagonal = np.zeros(size, np.int64)
    following, level = np.full(size + 1, size, np.int64), np.full(size, -1, np.int64)
    for row in range(size):
        last = size
        for at in range(indptr[row], indptr[row + 1]):
            column = indices[at]
            level[column] = 0
            following[last] = column
            last = column
        following[last] = size
        above = following[size]
        while above < row:
            last = above
            for at in range(diagonal[above] + 1, starts[above + 1]):
                column, new = columns[at], level[above] + levels[at] + 1
                if new > fill:
                    continue
                if level[column] < 0:
                    while following[last] < column:
                        last = following[last]
                    following[column], following[last] = following[last], column
                    level[column] = new
                elif new < level[column]:
                    level[column] = new
            above = following[above]
        count, column = starts[row], following[size]
        while column < size:
            if count == len(columns):
                columns, levels = np.append(columns, columns), np.append(levels, levels)
            if column == row:
                diagonal[row] = count
            columns[count], levels[count] = column, level[column]
            level[column] = -1
            count, column = count + 1, following[column]
        starts[row + 1] = count
    return starts, columns[: starts[size]].copy(), levels[: starts[size]].copy()
