from __future__ import annotations

import numpy as np

from ritz.compute.solvers.kernel import kernel


@kernel
def product(coefficients, x, y):
    """Write ``A x`` into ``y`` for a stencil ``(7, nz, ny, nx)``; x and y have the shape ``(nz, ny, nx)``.

    Couplings along an axis of one cell are not read, so the stencil may have fewer points: a 5-point one in the
    plane, a 3-point one on a line.
    """
    for i in range(x.shape[0]):
        for j in range(x.shape[1]):
            row(coefficients, x, i, j, y[i, j])


@kernel
def row(coefficients, x, i, j, target):
    """Write what ``A x`` is in the cells ``(i, j, :)`` into ``target``; see `product`."""
    nz, ny, nx = x.shape
    first_y = 3 if nz > 1 else 1
    first_x = first_y + (2 if ny > 1 else 0)
    weights, here = coefficients[0, i, j], x[i, j]
    for k in range(nx):
        target[k] = weights[k] * here[k]
    if i > 0:
        weights, near = coefficients[1, i, j], x[i - 1, j]
        for k in range(nx):
            target[k] += weights[k] * near[k]
    if i < nz - 1:
        weights, near = coefficients[2, i, j], x[i + 1, j]
        for k in range(nx):
            target[k] += weights[k] * near[k]
    if j > 0:
        weights, near = coefficients[first_y, i, j], x[i, j - 1]
        for k in range(nx):
            target[k] += weights[k] * near[k]
    if j < ny - 1:
        weights, near = coefficients[first_y + 1, i, j], x[i, j + 1]
        for k in range(nx):
            target[k] += weights[k] * near[k]
    if nx > 1:
        weights, inner = coefficients[first_x, i, j, 1:], target[1:]
        for k in range(nx - 1):
            inner[k] += weights[k] * here[k]
        weights, behind = coefficients[first_x + 1, i, j], here[1:]
        for k in range(nx - 1):
            target[k] += weights[k] * behind[k]


@kernel
def residual_squares(coefficients, x, rhs, room):
    """Return the squared norms of ``b − A x`` and of ``b`` for a stencil; ``room`` is for a row of ``A x``."""
    left, whole = 0.0, 0.0
    for i in range(x.shape[0]):
        for j in range(x.shape[1]):
            row(coefficients, x, i, j, room)
            b = rhs[i, j]
            for k in range(len(b)):
                difference = b[k] - room[k]
                left += (difference * np.conj(difference)).real
                whole += (b[k] * np.conj(b[k])).real
    return left, whole
