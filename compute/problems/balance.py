"""Residuals of discrete equations, cell by cell, written without the operators that the solvers use."""

from __future__ import annotations

import numpy as np


def outflow(a: np.ndarray, u: np.ndarray, difference: np.ufunc = np.subtract) -> np.ndarray:
    """Sum the diffusive fluxes −a ∇u out of every cell of a box with u = 0 at its walls, per volume.

    Parameters
    ----------
    a, u
        ``(n, *shape)`` float64, coefficient and field at the centres of the cells of the unit box.
    difference
        ``np.subtract``; with ``np.add`` all terms count positive, which for ``u ≥ 0`` gives ``|A| u``.

    Returns
    -------
    fluxes
        ``(n, *shape)`` float64.
    """
    resistance = 0.5 / a
    total = np.zeros_like(u)
    for axis in range(1, u.ndim):
        wall = [(0, 0)] * u.ndim
        wall[axis] = (1, 1)
        # Outside there is no resistance and no u: that is the half cell to the wall.
        r = np.moveaxis(np.pad(resistance, wall), axis, -1)
        p = np.moveaxis(np.pad(u, wall), axis, -1)
        flux = difference(p[..., 1:], p[..., :-1]) / (r[..., 1:] + r[..., :-1])
        total += np.moveaxis(difference(flux[..., :-1], flux[..., 1:]), -1, axis) * u.shape[axis] ** 2
    return total


def at_walls(x: np.ndarray) -> np.ndarray:
    """Return fields on a box ``(n, *shape)`` with zero in all cells that touch no wall."""
    found = x.copy()
    found[(slice(None), *(slice(1, -1),) * (x.ndim - 1))] = 0
    return found
