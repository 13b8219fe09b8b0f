"""Kernels that make the coarse operators: operator-dependent transfers and Galerkin products.

All arrays are flat and padded as `ritz.compute.solvers.multigrid.plan.Plan` says.
"""

from __future__ import annotations

import numpy as np

from ritz.compute.solvers.kernel import kernel
from ritz.compute.solvers.multigrid.plan import (
    APPLY,
    COLLECT,
    COLOURS,
    FX,
    FY,
    FZ,
    INTERPOLATE,
    MARGIN,
    NX,
    NY,
    NZ,
    POINT,
    POINTS,
    REACH,
    SLOTS,
    STENCIL,
    STRIDE_Y,
    STRIDE_Z,
    SUPPORT,
    TRANSFER,
    VECTOR,
)

_CHUNK = 512
"""Slots worked on at a time: what is needed of them stays in the innermost cache."""


@kernel
def split(fine, level, coarse, planes):
    """Sort the cells of a fine vector into planes of one colour each, in the layout of the coarse level."""
    padded = coarse[SLOTS] + 2 * coarse[MARGIN]
    twice = level[FX] == 2
    cells = level[NX]
    for z in range(level[NZ]):
        colour_z, at_z = _colour(z, level[FZ])
        for y in range(level[NY]):
            colour_y, at_y = _colour(y, level[FY])
            colour = colour_z * level[FY] + colour_y
            source = fine[level[MARGIN] + z * level[STRIDE_Z] + y * level[STRIDE_Y] :]
            begin = coarse[MARGIN] + at_z * coarse[STRIDE_Z] + at_y * coarse[STRIDE_Y]
            if twice:
                odd = planes[2 * colour * padded + begin :]
                even = planes[(2 * colour + 1) * padded + begin :]
                for i in range(cells // 2):
                    even[i] = source[2 * i]
                    odd[i] = source[2 * i + 1]
                if cells % 2:
                    even[cells // 2] = source[cells - 1]
            else:
                target = planes[colour * padded + begin :]
                for i in range(cells):
                    target[i] = source[i]


@kernel
def join(planes, level, coarse, fine):
    """Add planes of one colour each to the cells of a fine vector."""
    padded = coarse[SLOTS] + 2 * coarse[MARGIN]
    twice = level[FX] == 2
    cells = level[NX]
    for z in range(level[NZ]):
        colour_z, at_z = _colour(z, level[FZ])
        for y in range(level[NY]):
            colour_y, at_y = _colour(y, level[FY])
            colour = colour_z * level[FY] + colour_y
            target = fine[level[MARGIN] + z * level[STRIDE_Z] + y * level[STRIDE_Y] :]
            begin = coarse[MARGIN] + at_z * coarse[STRIDE_Z] + at_y * coarse[STRIDE_Y]
            if twice:
                odd = planes[2 * colour * padded + begin :]
                even = planes[(2 * colour + 1) * padded + begin :]
                for i in range(cells // 2):
                    target[2 * i] += even[i]
                    target[2 * i + 1] += odd[i]
                if cells % 2:
                    target[cells - 1] += even[cells // 2]
            else:
                source = planes[colour * padded + begin :]
                for i in range(cells):
                    target[i] += source[i]


@kernel
def _colour(index, factor):
    """Return the colour of a fine index and its place among those of that colour."""
    if factor == 1:
        return 0, index
    return 1 - index % 2, index // 2


@kernel
def scale(stencil, points, padded, diagonal):
    """Return the inverse of a diagonal D with D − A/2 not negative, so that D⁻¹A has no eigenvalue above 2.

    D is the diagonal of A wherever that is at least half the sum of the moduli of its row, as it is for every
    M-matrix; only where Galerkin products are not diagonally dominant it is that half instead.
    """
    for start in range(0, padded, _CHUNK):
        stop = min(start + _CHUNK, padded)
        total = diagonal[start:stop]
        total[:] = 0
        for point in range(points):
            row = stencil[point * padded + start : point * padded + stop]
            for i in range(len(total)):
                total[i] += abs(row[i])
        centre = stencil[start:stop]
        for i in range(len(total)):
            total[i] = np.float32(1) / max(centre[i], np.float32(0.5) * total[i]) if total[i] != 0 else np.float32(0)


@kernel
def interpolate(planes, rows, transposed, begin, slots, padded, transfer, work):
    """Make the basis functions of the coarse level, offset by offset from the stencil of the fine one.

    A fine point on a line between two coarse ones takes the values that solve its own equation with the
    stencil summed across the line; a point between more takes its own equation. With ``transposed`` the same
    is done for the transposed operator: that gives the restriction of an operator that is not symmetric.

    Source: J. E. Dendy, "Black box multigrid", J. Comput. Phys. 48 (1982); for operators that are not symmetric
    J. E. Dendy, Appl. Math. Comput. 13 (1983).
    """
    first = 3 if transposed else 1
    for start in range(begin, begin + slots, _CHUNK):
        stop = min(start + _CHUNK, begin + slots)
        count = stop - start
        above = work[:count]
        below = work[_CHUNK : _CHUNK + count]
        transfer[start:stop] = 1
        at = 0
        while at < len(rows):
            offset = rows[at, 0]
            above[:] = 0
            below[:] = 0
            while at < len(rows) and rows[at, 0] == offset:
                shift = rows[at, first] * padded + rows[at, first + 1]
                entries = planes[shift + start : shift + stop]
                if rows[at, 5] < 0:
                    for i in range(count):
                        below[i] += entries[i]
                else:
                    shift = rows[at, 5] * padded
                    other = transfer[shift + start : shift + stop]
                    for i in range(count):
                        above[i] -= entries[i] * other[i]
                at += 1
            target = transfer[offset * padded + start : offset * padded + stop]
            for i in range(count):
                target[i] = above[i] / below[i] if below[i] != 0 else np.float32(0)


@kernel
def clear_padding(transfer, coarse, support):
    """Set basis functions to zero in the slots that belong to no coarse cell."""
    padded = coarse[SLOTS] + 2 * coarse[MARGIN]
    lines = max(coarse[SLOTS] // coarse[STRIDE_Y], 1) if coarse[STRIDE_Y] > 0 else 1
    per_plane = max(coarse[STRIDE_Z] // coarse[STRIDE_Y], 1)
    for k in range(support):
        for line in range(lines):
            begin = k * padded + coarse[MARGIN] + line * coarse[STRIDE_Y]
            inside = line // per_plane < coarse[NZ] and line % per_plane < coarse[NY]
            for i in range(coarse[NX] if inside else 0, coarse[STRIDE_Y]):
                transfer[begin + i] = 0


@kernel
def galerkin(
    planes, prolongation, restriction, applied, collected, begin, slots, padded, points, symmetric, stencil, work
):
    """Multiply restriction, fine operator and prolongation; the product is a coarse stencil.

    Of a symmetric one the lower couplings are those of the lower neighbours to this point.
    """
    stencil[: len(points) * padded] = 0
    for start in range(begin, begin + slots, _CHUNK):
        stop = min(start + _CHUNK, begin + slots)
        count = stop - start
        work[:] = 0
        for at in range(len(applied)):
            if symmetric and applied[at, 4] == 0:
                continue
            shift = applied[at, 0] * padded
            basis = prolongation[shift + start : shift + stop]
            shift = applied[at, 1] * padded + applied[at, 2]
            entries = planes[shift + start : shift + stop]
            product = work[applied[at, 3] * _CHUNK : applied[at, 3] * _CHUNK + count]
            for i in range(count):
                product[i] += entries[i] * basis[i]
        for at in range(len(collected)):
            if symmetric and collected[at, 2] % 2 == 1:
                continue
            product = work[collected[at, 0] * _CHUNK : collected[at, 0] * _CHUNK + count]
            shift = collected[at, 1] * padded + collected[at, 3]
            weights = restriction[shift + start : shift + stop]
            shift = collected[at, 2] * padded + collected[at, 3]
            target = stencil[shift + start : shift + stop]
            for i in range(count):
                target[i] += weights[i] * product[i]
    if symmetric:
        for point in range(1, len(points), 2):
            lower = stencil[point * padded + begin : point * padded + begin + slots]
            shift = (point + 1) * padded + begin + points[point]
            upper = stencil[shift : shift + slots]
            for i in range(slots):
                lower[i] = upper[i]


@kernel
def add_viscosity(stencil, points, padded):
    """Make a stencil one of an M-matrix by adding diffusion along every line where a coupling is positive.

    Galerkin products of an upwind operator lean towards central differences from level to level, until no
    smoother is stable. What is added to a pair of opposite couplings and, twice, to the centre keeps the sum of the
    row and its first moment: it is the viscosity of upwind differences.
    """
    for point in range(1, points, 2):
        lower = stencil[point * padded : (point + 1) * padded]
        upper = stencil[(point + 1) * padded : (point + 2) * padded]
        for i in range(padded):
            viscosity = max(lower[i], upper[i], np.float32(0))
            lower[i] -= viscosity
            upper[i] -= viscosity
            stencil[i] += 2 * viscosity


@kernel
def dense(stencil, points, level):
    """Return the matrix of a level in float64, cells in C order."""
    size = level[NZ] * level[NY] * level[NX]
    padded = level[SLOTS] + 2 * level[MARGIN]
    cell = np.full(padded, -1)
    count = 0
    for z in range(level[NZ]):
        for y in range(level[NY]):
            for x in range(level[NX]):
                cell[level[MARGIN] + z * level[STRIDE_Z] + y * level[STRIDE_Y] + x] = count
                count += 1
    matrix = np.zeros((size, size))
    for slot in range(padded):
        if cell[slot] >= 0:
            for point in range(len(points)):
                there = cell[slot + points[point]]
                if there >= 0:
                    matrix[cell[slot], there] += stencil[point * padded + slot]
    return matrix


@kernel
def build(tables, hierarchy, room, symmetric):
    """Fill the hierarchy from the finest stencil; return the inverse of the coarsest operator, float32.

    Parameters
    ----------
    tables
        ``(levels, begin, points, interpolate, apply, collect)`` of the plan.
    hierarchy
        ``(stencils, scaling, prolongation, restriction)``; the finest stencil is there already.
    room
        ``(planes, work)`` to work in; what they hold does not matter.
    symmetric
        Whether the operator is; then prolongation and restriction are one buffer.
    """
    levels, begin, points, interpolated, applied, collected = tables
    stencils, scaling, prolongation, restriction = hierarchy
    planes, work = room
    for k in range(len(levels) - 1):
        level, coarse = levels[k], levels[k + 1]
        padded, coarse_padded = level[SLOTS] + 2 * level[MARGIN], coarse[SLOTS] + 2 * coarse[MARGIN]
        stencil = stencils[level[STENCIL] : level[STENCIL] + level[POINTS] * padded]
        scale(stencil, level[POINTS], padded, scaling[level[VECTOR] : level[VECTOR] + padded])
        used = level[POINTS] * level[COLOURS] * coarse_padded
        planes[:used] = 0
        for point in range(level[POINTS]):
            place = point * level[COLOURS] * coarse_padded
            split(stencil[point * padded : (point + 1) * padded], level, coarse, planes[place:])
        length = level[SUPPORT] * coarse_padded
        P = prolongation[level[TRANSFER] : level[TRANSFER] + length]
        R = restriction[level[TRANSFER] : level[TRANSFER] + length]
        rows = interpolated[begin[k, INTERPOLATE] : begin[k + 1, INTERPOLATE]]
        interpolate(planes, rows, False, coarse[MARGIN], coarse[SLOTS], coarse_padded, P, work)
        clear_padding(P, coarse, level[SUPPORT])
        if not symmetric:
            interpolate(planes, rows, True, coarse[MARGIN], coarse[SLOTS], coarse_padded, R, work)
            clear_padding(R, coarse, level[SUPPORT])
        galerkin(
            planes,
            P,
            R,
            applied[begin[k, APPLY] : begin[k + 1, APPLY]],
            collected[begin[k, COLLECT] : begin[k + 1, COLLECT]],
            coarse[MARGIN],
            coarse[SLOTS],
            coarse_padded,
            points[coarse[POINT] : coarse[POINT] + coarse[POINTS]],
            symmetric,
            stencils[coarse[STENCIL] : coarse[STENCIL] + coarse[POINTS] * coarse_padded],
            work[: level[REACH] * _CHUNK],
        )
        if not symmetric:
            add_viscosity(stencils[coarse[STENCIL] :], coarse[POINTS], coarse_padded)
    last = levels[-1]
    padded = last[SLOTS] + 2 * last[MARGIN]
    stencil = stencils[last[STENCIL] : last[STENCIL] + last[POINTS] * padded]
    matrix = dense(stencil, points[last[POINT] : last[POINT] + last[POINTS]], last)
    return np.linalg.inv(matrix).astype(np.float32)


WORK = 125 * _CHUNK
"""Length of the buffer that `build` works in."""
