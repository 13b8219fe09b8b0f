"""Compiled steps of the wave equation between rigid walls: half steps of the rate and whole steps of the pressure."""

from __future__ import annotations

from ritz.compute.solvers.kernel import kernel


@kernel
def kick(p, rate, keep, push, along_y, along_x):
    """Change the rate by what the pressure does, ``rate ← keep rate + push Δp``, with no slope across the walls.

    Parameters
    ----------
    p
        ``(ny, nx)``.
    rate
        ``(ny, nx)``, changed in place.
    keep, push
        ``(ny, nx)``.
    along_y, along_x
        1/h² of the cells along each axis.
    """
    rows, columns = p.shape
    last = columns - 1
    for i in range(rows):
        row, above, below = p[i], p[max(i - 1, 0)], p[min(i + 1, rows - 1)]
        changed, kept, pushed = rate[i], keep[i], push[i]
        for j in (0, last):
            inward = row[1] - row[0] if j == 0 else row[last - 1] - row[last]
            slope = along_x * inward + along_y * (above[j] + below[j] - 2 * row[j])
            changed[j] = kept[j] * changed[j] + pushed[j] * slope
        # Slices that all start at the index 0 of the loop, which becomes vector instructions so.
        inner, left, centre, right = changed[1:last], row[: last - 1], row[1:last], row[2:]
        upper, lower, inner_kept, inner_pushed = above[1:last], below[1:last], kept[1:last], pushed[1:last]
        for j in range(columns - 2):
            twice = 2 * centre[j]
            slope = along_x * (left[j] + right[j] - twice) + along_y * (upper[j] + lower[j] - twice)
            inner[j] = inner_kept[j] * inner[j] + inner_pushed[j] * slope


@kernel
def leapfrog(p, rate, keep, push, along_y, along_x, step, count):
    """Take so many times a `kick` and ``p ← p + step rate``, in place, for one sample."""
    for _ in range(count):
        kick(p, rate, keep, push, along_y, along_x)
        for i in range(p.shape[0]):
            row, change = p[i], rate[i]
            for j in range(p.shape[1]):
                row[j] += step * change[j]
