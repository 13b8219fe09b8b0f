from __future__ import annotations

from ritz.compute.solvers.kernel import kernel


@kernel
def factor(ends, inner, coupling, shifts, inverse):
    """Factor tridiagonal matrices with constant couplings ``−coupling``, one for each shift of the diagonal.

    Parameters
    ----------
    ends
        Diagonal of the first and of the last row.
    inner
        Diagonal of the other rows.
    coupling
        Minus the entries beside the diagonal.
    shifts
        ``(m,)`` what is added to the diagonal of each matrix.
    inverse
        ``(rows, m)``; gets the inverses of the pivots.
    """
    rows = len(inverse)
    for i in range(rows):
        diagonal = ends[0] if i == 0 else ends[1] if i == rows - 1 else inner
        now = inverse[i]
        if i == 0:
            for k in range(len(shifts)):
                now[k] = 1 / (diagonal + shifts[k])
        else:
            before = inverse[i - 1]
            for k in range(len(shifts)):
                now[k] = 1 / (diagonal + shifts[k] - coupling * coupling * before[k])


@kernel
def solve(inverse, coupling, x):
    """Solve with what `factor` left in ``inverse``; ``x`` ``(rows, m)`` holds right-hand sides, then solutions."""
    rows = len(x)
    for i in range(rows):
        now, pivot = x[i], inverse[i]
        if i == 0:
            for k in range(len(now)):
                now[k] *= pivot[k]
        else:
            before = x[i - 1]
            for k in range(len(now)):
                now[k] = (now[k] + coupling * before[k]) * pivot[k]
    for i in range(rows - 2, -1, -1):
        now, pivot, behind = x[i], inverse[i], x[i + 1]
        for k in range(len(now)):
            now[k] += coupling * pivot[k] * behind[k]
