"""Kernels of the Krylov methods around the V-cycle: float64 outside, float32 inside.

All arrays are flat and padded as `ritz.compute.solvers.multigrid.plan.Plan` says.
"""

from __future__ import annotations

import numpy as np

from ritz.compute.solvers.kernel import kernel
from ritz.compute.solvers.multigrid.cycle import subtract_product, vcycle
from ritz.compute.solvers.multigrid.hierarchy import build
from ritz.compute.solvers.multigrid.plan import MARGIN, NX, NY, NZ, POINTS, SLOTS, STRIDE_Y, STRIDE_Z

_CHUNK = 1024

CONVERGED, NOT_CONVERGED, BREAKDOWN = 0, 1, -1


@kernel
def pad(level, values, padded):
    """Write the cells of a grid ``(nz, ny, nx)`` into a padded vector of any precision."""
    for z in range(level[NZ]):
        for y in range(level[NY]):
            target = padded[level[MARGIN] + z * level[STRIDE_Z] + y * level[STRIDE_Y] :]
            source = values[z, y]
            for i in range(level[NX]):
                target[i] = source[i]


@kernel
def unpad(level, padded, values):
    """Read the cells of a grid from a padded vector."""
    for z in range(level[NZ]):
        for y in range(level[NY]):
            source = padded[level[MARGIN] + z * level[STRIDE_Z] + y * level[STRIDE_Y] :]
            target = values[z, y]
            for i in range(level[NX]):
                target[i] = source[i]


@kernel
def apply(stencil, points, level, symmetric, x, y):
    """Write ``A x`` into ``y``; return the product of ``x`` and ``y``."""
    begin = level[MARGIN]
    return _product(stencil, points, level, symmetric, x, y, begin, begin + level[SLOTS])


@kernel
def direct(stencil, points, level, symmetric, z, beta, p, q):
    """Make the new direction ``p = z + beta p`` and ``q = A p`` in one pass; return the product of the two."""
    begin, end = level[MARGIN], level[MARGIN] + level[SLOTS]
    reach = points.max()
    product = 0.0
    done = begin
    for start in range(begin, end, _CHUNK):
        stop = min(start + _CHUNK, end)
        direction, step = p[start:stop], z[start:stop]
        for i in range(stop - start):
            direction[i] = step[i] + beta * direction[i]
        free = end if stop == end else max(stop - reach, done)
        product += _product(stencil, points, level, symmetric, p, q, done, free)
        done = free
    return product


@kernel
def _product(stencil, points, level, symmetric, x, y, begin, end):
    padded = level[SLOTS] + 2 * level[MARGIN]
    product = 0.0
    for start in range(begin, end, _CHUNK):
        count = min(_CHUNK, end - start)
        target, here = y[start : start + count], x[start : start + count]
        target[:] = 0
        subtract_product(stencil, points, padded, symmetric, x, start, target)
        for i in range(count):
            target[i] = -target[i]
            product += target[i] * here[i]
    return product


@kernel
def residual(stencil, points, level, symmetric, rhs, x, guessed, r):
    """Write ``rhs − A x`` into ``r``, where x is zero if not ``guessed``; return its norm."""
    padded = level[SLOTS] + 2 * level[MARGIN]
    total = 0.0
    for start in range(0, padded, _CHUNK):
        count = min(_CHUNK, padded - start)
        target, wanted = r[start : start + count], rhs[start : start + count]
        for i in range(count):
            target[i] = wanted[i]
        # The margins of both are zero and stay so.
        begin, end = max(start, level[MARGIN]), min(start + count, level[MARGIN] + level[SLOTS])
        if guessed and begin < end:
            subtract_product(stencil, points, padded, symmetric, x, begin, r[begin:end])
        for i in range(count):
            total += target[i] * target[i]
    return np.sqrt(total)


@kernel
def dot(a, b):
    """Return the product of two vectors."""
    total = 0.0
    for i in range(len(a)):
        total += a[i] * b[i]
    return total


@kernel
def precondition(r, z, factor, grid, hierarchy, vectors, smoother):
    """Write the V-cycle's answer for ``factor r`` into ``z``; the factor keeps float32 in its range."""
    x, b = vectors[0], vectors[1]
    for i in range(len(r)):
        b[i] = np.float32(factor * r[i])
    vcycle(grid, hierarchy, vectors, smoother)
    for i in range(len(r)):
        z[i] = x[i]


@kernel
def cg(stencil, rhs, x, guessed, target, maxiter, space, grid, hierarchy, vectors, smoother):
    """Conjugate gradients with the V-cycle as preconditioner; return iterations and how they ended.

    ``target`` is the wanted norm of the residual; without ``guessed`` x is zero. The formula for β is the flexible
    one, since the V-cycle is rounded to float32: Y. Notay, "Flexible conjugate gradients", SIAM J. Sci. Comput. 22
    (2000).
    """
    level = grid[0][0]
    near = grid[2][: level[POINTS]]
    symmetric = smoother[1]
    fine = level[SLOTS] + 2 * level[MARGIN]
    r, p, q = space[0], space[1], space[2]
    z, b = vectors[0][:fine], vectors[1][:fine]
    size = residual(stencil, near, level, symmetric, rhs, x, guessed, r)
    for i in range(fine):
        b[i] = np.float32(r[i] / size) if size > 0 else np.float32(0)
    p[:] = 0
    curvature = 1.0
    iterations = 0
    while not size <= target:
        if iterations == maxiter:
            return iterations, NOT_CONVERGED
        vcycle(grid, hierarchy, vectors, smoother)
        # The last direction and A times it are still in p and q.
        along, descent = 0.0, 0.0
        for i in range(fine):
            along += q[i] * z[i]
            descent += r[i] * z[i]
        beta = -along / curvature if iterations > 0 else 0.0
        curvature = direct(stencil, near, level, symmetric, z, beta, p, q)
        if not (curvature > 0 and descent > 0):
            return iterations, BREAKDOWN
        step = descent / curvature
        total = 0.0
        # The scale of what the V-cycle gets is free: about one keeps float32 in its range.
        factor = 1 / size
        for i in range(fine):
            x[i] += step * p[i]
            value = r[i] - step * q[i]
            r[i] = value
            b[i] = np.float32(factor * value)
            total += value * value
        size = np.sqrt(total)
        iterations += 1
    return iterations, CONVERGED


@kernel
def bicgstab(stencil, rhs, x, guessed, target, maxiter, space, grid, hierarchy, vectors, smoother):
    """BiCGStab with the V-cycle as right preconditioner; arguments and answer are those of `cg`.

    Source: H. A. van der Vorst, "Bi-CGSTAB", SIAM J. Sci. Stat. Comput. 13 (1992).
    """
    level = grid[0][0]
    near = grid[2][: level[POINTS]]
    symmetric = smoother[1]
    fine = level[SLOTS] + 2 * level[MARGIN]
    r, z, p, q, shadow, t, s = space[0], space[1], space[2], space[3], space[4], space[5], space[6]
    size = residual(stencil, near, level, symmetric, rhs, x, guessed, r)
    shadow[:] = r
    p[:] = 0
    q[:] = 0
    rho, alpha, omega = 1.0, 1.0, 1.0
    iterations = 0
    while not size <= target:
        if iterations == maxiter:
            return iterations, NOT_CONVERGED
        product = dot(shadow, r)
        if product == 0 or omega == 0 or not np.isfinite(product):
            return iterations, BREAKDOWN
        beta = product / rho * (alpha / omega)
        rho = product
        for i in range(fine):
            p[i] = r[i] + beta * (p[i] - omega * q[i])
        precondition(p, z, 1 / size, grid, hierarchy, vectors, smoother)
        for i in range(fine):
            z[i] *= size
        apply(stencil, near, level, symmetric, z, q)
        curvature = dot(shadow, q)
        if curvature == 0 or not np.isfinite(curvature):
            return iterations, BREAKDOWN
        alpha = rho / curvature
        total = 0.0
        for i in range(fine):
            x[i] += alpha * z[i]
            r[i] -= alpha * q[i]
            total += r[i] * r[i]
        size = np.sqrt(total)
        iterations += 1
        if size <= target:
            break
        precondition(r, s, 1 / size, grid, hierarchy, vectors, smoother)
        for i in range(fine):
            s[i] *= size
        apply(stencil, near, level, symmetric, s, t)
        squares = dot(t, t)
        if squares == 0 or not np.isfinite(squares):
            return iterations, BREAKDOWN
        omega = dot(t, r) / squares
        total = 0.0
        for i in range(fine):
            x[i] += omega * s[i]
            r[i] -= omega * t[i]
            total += r[i] * r[i]
        size = np.sqrt(total)
    return iterations, CONVERGED


@kernel
def load(coefficients, stencil, tables, hierarchy, room, symmetric):
    """Take an operator ``(points, nz, ny, nx)`` into the buffers; return the inverse of the coarsest operator.

    ``tables``, ``hierarchy`` and ``room`` are those of `hierarchy.build`.
    """
    level, stencils = tables[0][0], hierarchy[0]
    padded = level[SLOTS] + 2 * level[MARGIN]
    largest = 0.0
    for z in range(level[NZ]):
        for y in range(level[NY]):
            row = coefficients[0, z, y]
            for i in range(len(row)):
                largest = max(largest, abs(row[i]))
    # A preconditioner may have any scale; this one keeps float32 in its range.
    factor = 1 / largest
    for point in range(len(coefficients)):
        # The lower couplings of a symmetric operator are not read: see `cycle.subtract_product`.
        needed = not symmetric or point % 2 == 0
        for z in range(level[NZ]):
            for y in range(level[NY]):
                source = coefficients[point, z, y]
                begin = point * padded + level[MARGIN] + z * level[STRIDE_Z] + y * level[STRIDE_Y]
                single = stencils[begin:]
                for i in range(level[NX]):
                    single[i] = np.float32(factor * source[i])
                if needed:
                    double = stencil[begin:]
                    for i in range(level[NX]):
                        double[i] = source[i]
    return build(tables, hierarchy, room, symmetric)


@kernel
def solve(rhs, x, guessed, stencil, padded_rhs, padded_x, target, maxiter, space, grid, hierarchy, vectors, smoother):
    """Improve ``x`` ``(nz, ny, nx)`` until the residual has the norm ``target``; see `cg` and `bicgstab`.

    Without ``guessed`` it begins at zero, whatever is in ``x``.

    Returns
    -------
    iterations, ended, size
        The last is the norm of the true residual.
    """
    level = grid[0][0]
    pad(level, rhs, padded_rhs)
    if guessed:
        pad(level, x, padded_x)
    else:
        padded_x[:] = 0
    arguments = (stencil, padded_rhs, padded_x, guessed, target, maxiter, space, grid, hierarchy, vectors, smoother)
    iterations, ended = cg(*arguments) if smoother[1] else bicgstab(*arguments)
    unpad(level, padded_x, x)
    near = grid[2][: level[POINTS]]
    return iterations, ended, residual(stencil, near, level, smoother[1], padded_rhs, padded_x, True, space[0])
