"""Kernels of the V-cycle: Chebyshev–Jacobi smoothing, restriction of residuals, prolongation of corrections.

All arrays are flat and padded as `ritz.compute.solvers.multigrid.plan.Plan` says, and float32.
"""

from __future__ import annotations

import numpy as np

from ritz.compute.solvers.kernel import kernel
from ritz.compute.solvers.multigrid.hierarchy import join, split
from ritz.compute.solvers.multigrid.plan import (
    COLOURS,
    GATHER,
    MARGIN,
    NX,
    NY,
    NZ,
    POINT,
    POINTS,
    SLOTS,
    STENCIL,
    STRIDE_Y,
    STRIDE_Z,
    SUPPORT,
    TRANSFER,
    VECTOR,
)

_CHUNK = 1024
"""Slots worked on at a time: what is needed of them stays in the innermost cache."""


@kernel
def subtract_product(stencil, points, padded, symmetric, x, start, total):
    """Subtract ``A x`` in the slots from ``start`` on from ``total``, in the precision of the arrays.

    A symmetric stencil has its lower couplings among the upper ones of the lower neighbours: half the memory.
    Two pairs of points at a time: a pass over ``total`` costs as much as two products.
    """
    count = len(total)
    centre, here = stencil[start : start + count], x[start : start + count]
    for i in range(count):
        total[i] -= centre[i] * here[i]
    point = 1
    while point < len(points):
        lower, upper = _couplings(stencil, points, padded, symmetric, point, start, count)
        before = x[start + points[point] : start + points[point] + count]
        behind = x[start + points[point + 1] : start + points[point + 1] + count]
        point += 2
        if point == len(points):
            for i in range(count):
                total[i] -= lower[i] * before[i] + upper[i] * behind[i]
        else:
            left, right = _couplings(stencil, points, padded, symmetric, point, start, count)
            first = x[start + points[point] : start + points[point] + count]
            last = x[start + points[point + 1] : start + points[point + 1] + count]
            point += 2
            for i in range(count):
                total[i] -= lower[i] * before[i] + upper[i] * behind[i] + left[i] * first[i] + right[i] * last[i]


@kernel
def _couplings(stencil, points, padded, symmetric, point, start, count):
    """Return the couplings to a lower neighbour and to the upper one opposite."""
    at = (point + 1) * padded + start
    upper = stencil[at : at + count]
    at = at + points[point] if symmetric else at - padded
    return stencil[at : at + count], upper


@kernel
def smooth(stencil, points, padded, begin, slots, scaling, x, b, d, smoother, from_zero, with_residual, work):
    """Do Jacobi-like sweeps ``d = old d + new D⁻¹(b − A x)``, ``x += d``, with the numbers of `smoother`.

    With ``with_residual`` the new residual is in ``d`` at the end. All is done in one pass through memory: a
    sweep follows the one before at the distance its stencil reaches, so that what it needs is still in cache.
    """
    sweeps, symmetric = smoother
    reach = points.max()
    end = begin + slots
    changed = np.full(len(sweeps), begin)
    added = np.full(len(sweeps), begin)
    left = begin
    front = begin
    while left < end:
        front = min(front + _CHUNK, end)
        ready = end
        for sweep in range(len(sweeps)):
            old, new = sweeps[sweep, 0], sweeps[sweep, 1]
            start = changed[sweep]
            if sweep == 0 and from_zero:
                answer, change = x[start:front], d[start:front]
                rhs, weight = b[start:front], scaling[start:front]
                for i in range(front - start):
                    change[i] = new * weight[i] * rhs[i]
                    answer[i] = change[i]
                changed[0] = ready = front
                continue
            # A sweep has all it needs as far as its neighbours have the sweep before.
            stop = front if sweep == 0 else _behind(ready, reach, start, end)
            for at in range(start, stop, _CHUNK):
                count = min(_CHUNK, stop - at)
                total, rhs = work[:count], b[at : at + count]
                for i in range(count):
                    total[i] = rhs[i]
                subtract_product(stencil, points, padded, symmetric, x, at, total)
                change, weight = d[at : at + count], scaling[at : at + count]
                if sweep == 0:
                    for i in range(count):
                        change[i] = new * weight[i] * total[i]
                else:
                    for i in range(count):
                        change[i] = old * change[i] + new * weight[i] * total[i]
            changed[sweep] = stop
            # It is added where no slot that follows needs what was there.
            start = added[sweep]
            ready = _behind(stop, reach, start, end)
            answer, change = x[start:ready], d[start:ready]
            for i in range(ready - start):
                answer[i] += change[i]
            added[sweep] = ready
        stop = _behind(ready, reach, left, end)
        if with_residual:
            for at in range(left, stop, _CHUNK):
                count = min(_CHUNK, stop - at)
                total, rhs = d[at : at + count], b[at : at + count]
                for i in range(count):
                    total[i] = rhs[i]
                subtract_product(stencil, points, padded, symmetric, x, at, total)
        left = stop


@kernel
def _behind(front, reach, least, end):
    """Return how far one may go behind a front: by the reach of the stencil, unless the front is at the end."""
    return end if front == end else max(front - reach, least)


@kernel
def restrict(planes, rows, begin, slots, padded, restriction, b):
    """Collect the residual of the fine cells, sorted by colour, on the coarse ones."""
    for start in range(begin, begin + slots, _CHUNK):
        count = min(_CHUNK, begin + slots - start)
        target = b[start : start + count]
        target[:] = 0
        for offset in range(len(rows)):
            shift = offset * padded + start
            weights = restriction[shift : shift + count]
            shift = rows[offset, 0] * padded + rows[offset, 1] + start
            values = planes[shift : shift + count]
            for i in range(count):
                target[i] += weights[i] * values[i]


@kernel
def prolong(x, rows, begin, slots, padded, prolongation, planes):
    """Spread a coarse correction over the fine cells, sorted by colour."""
    planes[:] = 0
    for start in range(begin, begin + slots, _CHUNK):
        count = min(_CHUNK, begin + slots - start)
        values = x[start : start + count]
        for offset in range(len(rows)):
            shift = offset * padded + start
            weights = prolongation[shift : shift + count]
            shift = rows[offset, 0] * padded + rows[offset, 1] + start
            target = planes[shift : shift + count]
            for i in range(count):
                target[i] += weights[i] * values[i]


@kernel
def solve_coarsest(inverse, level, x, b, work):
    """Apply the dense inverse of the coarsest operator."""
    size = len(inverse)
    at = 0
    for z in range(level[NZ]):
        for y in range(level[NY]):
            begin = level[MARGIN] + z * level[STRIDE_Z] + y * level[STRIDE_Y]
            for i in range(level[NX]):
                work[at] = b[begin + i]
                at += 1
    at = 0
    for z in range(level[NZ]):
        for y in range(level[NY]):
            begin = level[MARGIN] + z * level[STRIDE_Z] + y * level[STRIDE_Y]
            for i in range(level[NX]):
                total = np.float32(0)
                row = inverse[at]
                for j in range(size):
                    total += row[j] * work[j]
                x[begin + i] = total
                at += 1


@kernel
def vcycle(grid, hierarchy, vectors, smoother):
    """Do one V-cycle for the right-hand side in ``b`` of the finest level; the answer is in its ``x``.

    Parameters
    ----------
    grid
        ``(levels, begin, points, gather)`` of the plan.
    hierarchy
        ``(stencils, scaling, prolongation, restriction, inverse)``, filled by `hierarchy.build`.
    vectors
        ``(x, b, d, planes, work)``; all but the margins of x and b may hold anything.
    smoother
        ``(sweeps, symmetric)``, the first ``(n, 2)``: weights of the last change and of the scaled residual.
    """
    levels, begin, points, gathered = grid
    stencils, scaling, prolongation, restriction, inverse = hierarchy
    x, b, d, planes, work = vectors
    last = len(levels) - 1
    for k in range(last):
        level, coarse = levels[k], levels[k + 1]
        padded, coarse_padded = level[SLOTS] + 2 * level[MARGIN], coarse[SLOTS] + 2 * coarse[MARGIN]
        stencil = stencils[level[STENCIL] : level[STENCIL] + level[POINTS] * padded]
        near = points[level[POINT] : level[POINT] + level[POINTS]]
        here = slice(level[VECTOR], level[VECTOR] + padded)
        smooth(
            stencil,
            near,
            padded,
            level[MARGIN],
            level[SLOTS],
            scaling[here],
            x[here],
            b[here],
            d[here],
            smoother,
            True,
            True,
            work,
        )
        used = level[COLOURS] * coarse_padded
        split(d[here], level, coarse, planes[:used])
        length = level[SUPPORT] * coarse_padded
        restrict(
            planes[:used],
            gathered[begin[k, GATHER] : begin[k + 1, GATHER]],
            coarse[MARGIN],
            coarse[SLOTS],
            coarse_padded,
            restriction[level[TRANSFER] : level[TRANSFER] + length],
            b[coarse[VECTOR] : coarse[VECTOR] + coarse_padded],
        )
    level = levels[last]
    here = slice(level[VECTOR], level[VECTOR] + level[SLOTS] + 2 * level[MARGIN])
    solve_coarsest(inverse, level, x[here], b[here], work)
    for k in range(last - 1, -1, -1):
        level, coarse = levels[k], levels[k + 1]
        padded, coarse_padded = level[SLOTS] + 2 * level[MARGIN], coarse[SLOTS] + 2 * coarse[MARGIN]
        here = slice(level[VECTOR], level[VECTOR] + padded)
        used = level[COLOURS] * coarse_padded
        length = level[SUPPORT] * coarse_padded
        prolong(
            x[coarse[VECTOR] : coarse[VECTOR] + coarse_padded],
            gathered[begin[k, GATHER] : begin[k + 1, GATHER]],
            coarse[MARGIN],
            coarse[SLOTS],
            coarse_padded,
            prolongation[level[TRANSFER] : level[TRANSFER] + length],
            planes[:used],
        )
        join(planes[:used], level, coarse, x[here])
        stencil = stencils[level[STENCIL] : level[STENCIL] + level[POINTS] * padded]
        near = points[level[POINT] : level[POINT] + level[POINTS]]
        smooth(
            stencil,
            near,
            padded,
            level[MARGIN],
            level[SLOTS],
            scaling[here],
            x[here],
            b[here],
            d[here],
            smoother,
            False,
            False,
            work,
        )


WORK = _CHUNK
"""Length of the buffer that `vcycle` works in."""
