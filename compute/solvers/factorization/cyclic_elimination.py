from __future__ import annotations

from ritz.compute.solvers.kernel import kernel


@kernel
def eliminate(values, bands, x, room):
    """Solve tridiagonal or cyclic tridiagonal systems by Gaussian elimination without interchanges.

    The last unknown is the border of a tridiagonal matrix of the others: they are ``x = y − z x_last``, where y and z
    are what that matrix takes to the right-hand side and to the last column, and the last equation gives ``x_last``.
    One system is done after the other, so that its numbers do not depend on the others.

    Parameters
    ----------
    values
        ``(n, entries)``, or one row for all systems.
    bands
        ``(3, m)`` where in a row lies what couples an unknown to the one before it, to itself and to the one behind it,
        −1 where nothing does. The first unknown comes behind the last one.
    x
        ``(n, m)`` holds right-hand sides, then solutions; they are not finite where a pivot is zero.
    room
        ``(2, m)`` of the dtype of x, to work in.
    """
    size = x.shape[1]
    last = size - 1
    above, border = room[0], room[1]
    for k in range(len(x)):
        row, y = values[k if len(values) > 1 else 0], x[k]
        for i in range(last):
            before = row[bands[0, i]] if bands[0, i] >= 0 else 0.0
            centre = row[bands[1, i]] if bands[1, i] >= 0 else 0.0
            behind = row[bands[2, i]] if bands[2, i] >= 0 else 0.0
            if i == 0:
                pivot, right, column = centre, y[0], before
            else:
                pivot = centre - before * above[i - 1]
                right = y[i] - before * y[i - 1]
                column = -before * border[i - 1]
            if i == last - 1:
                column += behind
            above[i] = behind / pivot
            y[i] = right / pivot
            border[i] = column / pivot
        for i in range(last - 2, -1, -1):
            y[i] -= above[i] * y[i + 1]
            border[i] -= above[i] * border[i + 1]
        before = row[bands[0, last]] if bands[0, last] >= 0 else 0.0
        pivot = row[bands[1, last]] if bands[1, last] >= 0 else 0.0
        behind = row[bands[2, last]] if bands[2, last] >= 0 else 0.0
        right = y[last]
        if last > 0:
            pivot -= before * border[last - 1] + behind * border[0]
            right -= before * y[last - 1] + behind * y[0]
        y[last] = right / pivot
        for i in range(last):
            y[i] -= border[i] * y[last]
