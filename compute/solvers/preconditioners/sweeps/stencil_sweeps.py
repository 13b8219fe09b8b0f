"""Triangular sweeps over nearest-neighbour stencils, compiled; arrays are flat, the grid is ``(nz, ny, nx)``.

Every recurrence runs along a line of the last axis; what comes from the lines below is added first, in loops that
vectorise: they run over slices from 0, since for an index that might be negative numba would look it up each time.
Couplings are divided by the pivots beforehand, so that one step of a recurrence is one multiply-add.
"""

from __future__ import annotations

import numpy as np

from ritz.compute.solvers.kernel import kernel


@kernel
def pivots(c: np.ndarray, shape: tuple[int, int, int], axes: int) -> np.ndarray:
    """Return the pivots of ILU(0) of stencil coefficients ``c``, ``(1 + 2 axes, unknowns)``."""
    nz, ny, nx = shape
    found: np.ndarray = np.empty_like(c[0])
    for line in range(nz * ny):
        start, stop = line * nx, (line + 1) * nx
        here = found[start:stop]
        here[:] = c[0, start:stop]
        if axes > 1 and line % ny > 0:
            a, b = c[2 * axes - 3, start:stop], c[2 * axes - 2, start - nx : stop - nx]
            below = found[start - nx : stop - nx]
            for i in range(nx):
                here[i] -= a[i] * b[i] / below[i]
        if axes > 2 and line >= ny:
            plane = ny * nx
            a, b = c[1, start:stop], c[2, start - plane : stop - plane]
            below = found[start - plane : stop - plane]
            for i in range(nx):
                here[i] -= a[i] * b[i] / below[i]
        a, b = c[2 * axes - 1, start:stop], c[2 * axes, start:stop]
        for i in range(nx - 1):
            here[i + 1] -= a[i + 1] * b[i] / here[i]
    return found


@kernel
def forward(lower: np.ndarray, inverse: np.ndarray, shape: tuple[int, int, int], v: np.ndarray, t: np.ndarray) -> None:
    """Solve ``(D + L) t = v``; ``lower`` is ``D⁻¹ L``, ``(axes, unknowns)``, and ``inverse`` is ``D⁻¹``."""
    nz, ny, nx = shape
    axes, plane = len(lower), ny * nx
    for line in range(nz * ny):
        start, stop = line * nx, (line + 1) * nx
        here, given, weight = t[start:stop], v[start:stop], inverse[start:stop]
        if axes > 1 and line % ny > 0:
            across, below = lower[axes - 2, start:stop], t[start - nx : stop - nx]
            for i in range(nx):
                here[i] = weight[i] * given[i] - across[i] * below[i]
        else:
            for i in range(nx):
                here[i] = weight[i] * given[i]
        if axes > 2 and line >= ny:
            across, below = lower[0, start:stop], t[start - plane : stop - plane]
            for i in range(nx):
                here[i] -= across[i] * below[i]
        along = lower[axes - 1, start:stop]
        last = here[0]
        for i in range(1, nx):
            last = here[i] - along[i] * last
            here[i] = last


@kernel
def backward(upper: np.ndarray, shape: tuple[int, int, int], t: np.ndarray, s: np.ndarray) -> None:
    """Solve ``(D + U) s = D t``; ``upper`` is ``D⁻¹ U``, ``(axes, unknowns)``."""
    nz, ny, nx = shape
    axes, plane = len(upper), ny * nx
    for line in range(nz * ny - 1, -1, -1):
        start, stop = line * nx, (line + 1) * nx
        here, given = s[start:stop], t[start:stop]
        if axes > 1 and line % ny < ny - 1:
            across, above = upper[axes - 2, start:stop], s[start + nx : stop + nx]
            for i in range(nx):
                here[i] = given[i] - across[i] * above[i]
        else:
            here[:] = given
        if axes > 2 and line < (nz - 1) * ny:
            across, above = upper[0, start:stop], s[start + plane : stop + plane]
            for i in range(nx):
                here[i] -= across[i] * above[i]
        along = upper[axes - 1, start:stop]
        last = here[nx - 1]
        for i in range(1, nx):
            j = nx - 1 - i
            last = here[j] - along[j] * last
            here[j] = last


@kernel
def image(
    lower: np.ndarray,
    pivot: np.ndarray,
    shift: np.ndarray,
    shape: tuple[int, int, int],
    t: np.ndarray,
    s: np.ndarray,
    out: np.ndarray,
) -> None:
    """Put ``A s`` in ``out``, where ``t`` and ``s`` come from the sweeps and ``A = L + D + shift + U``.

    ``(D + U) s = D t`` spares the product with the upper triangle.

    Source: S. C. Eisenstat, "Efficient implementation of a class of preconditioned conjugate gradient methods",
    SIAM J. Sci. Stat. Comput. 2 (1981).
    """
    nz, ny, nx = shape
    axes, plane = len(lower), ny * nx
    for line in range(nz * ny):
        start, stop = line * nx, (line + 1) * nx
        product, given, moved, weight = out[start:stop], t[start:stop], shift[start:stop], pivot[start:stop]
        here, along = s[start:stop], lower[axes - 1, start:stop]
        product[0] = given[0]
        for i in range(nx - 1):
            product[i + 1] = given[i + 1] + along[i + 1] * here[i]
        if axes > 1 and line % ny > 0:
            across, below = lower[axes - 2, start:stop], s[start - nx : stop - nx]
            for i in range(nx):
                product[i] += across[i] * below[i]
        if axes > 2 and line >= ny:
            across, below = lower[0, start:stop], s[start - plane : stop - plane]
            for i in range(nx):
                product[i] += across[i] * below[i]
        for i in range(nx):
            product[i] = weight[i] * product[i] + moved[i] * here[i]
