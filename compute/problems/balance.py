"""Balances of fluxes over the cells of a box, written without the operators that the solvers use.

All are for NumPy arrays and torch tensors. ``difference`` is subtraction; with `operator.add` all terms count positive,
which for ``u ≥ 0`` gives ``|A| u``.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Sequence

import numpy as np

from ritz.compute.fields.arrays import Array, like, namespace, padded, part

Difference = Callable[[Array, Array], Array]


def outflow(
    a: Array | float,
    u: Array,
    difference: Difference = operator.sub,
    *,
    space: int | None = None,
) -> Array:
    """Sum the diffusive fluxes −a ∇u out of every cell of a box, per volume; u = 0 at its walls.

    Parameters
    ----------
    a, u
        ``(n, …, *shape)``, coefficient and field at the centres of the cells of the unit box; ``a`` may be one number,
        or have one entry along the axes between n and space.
    space
        How many axes are of space; all after the first by default.

    Returns
    -------
    fluxes
        ``(n, …, *shape)``.
    """
    first = 1 if space is None else u.ndim - space
    total = None
    for axis in range(first, u.ndim):
        lower, upper = part(axis, None, -1), part(axis, 1, None)
        p = padded(u, axis)
        flux = difference(p[upper], p[lower]) / _resistance(a, u, axis)
        out = difference(flux[lower], flux[upper])
        total = out if total is None else total + out
    return total


def inflow(u: Array) -> Array:
    """Sum the fluxes ∇u into every cell of the unit square, per area: Δu, with none through the walls.

    Parameters
    ----------
    u
        ``(…, ny, nx)`` at the centres of the cells.
    """
    total = None
    for axis in (u.ndim - 2, u.ndim - 1):
        lower, upper = part(axis, None, -1), part(axis, 1, None)
        flux = padded(u[upper] - u[lower], axis)
        into = (flux[upper] - flux[lower]) * u.shape[axis] ** 2
        total = into if total is None else total + into
    return total


def wave_magnitude(a: Array | float, square: Array | float, u: Array) -> Array:
    """Return ``|A| u`` of ``A = −∇·(a ∇) − square`` with u = 0 at the walls, for ``u ≥ 0``; see `outflow`."""
    one = namespace(u).ones_like(u)
    # What fluxes add to the diagonal: neighbours add up with one sign, and cancel with the other.
    diagonal = 0.5 * (outflow(a, one, operator.add) + outflow(a, one))
    return outflow(a, u, operator.add) + (abs(diagonal - square) - diagonal) * u


def _resistance(a: Array | float, u: Array, axis: int) -> Array:
    """Return what stands against the fluxes across an axis, ``h²/2a`` of the cells on both sides of each face.

    Outside a wall there is none.
    """
    cells = u.shape[axis]
    if isinstance(a, float):
        along = np.full((cells + 1, *(1,) * (u.ndim - 1 - axis)), 1 / (a * cells**2))
        along[[0, -1]] *= 0.5
        return like(along, u)
    half = padded(0.5 / (a * cells**2), axis)
    return half[part(axis, 1, None)] + half[part(axis, None, -1)]


def carried(velocity: Sequence[Array], u: Array, difference: Difference = operator.sub) -> Array:
    """Sum what a flow takes out of every cell of a box, per volume, by upwind fluxes; what flows in brings u = 0.

    Parameters
    ----------
    velocity
        For every axis, through the faces across it: ``(n, *shape)`` with one entry more along that axis.
    u
        ``(n, *shape)``, field at the centres of the cells of the unit box.

    Returns
    -------
    fluxes
        ``(n, *shape)``.
    """
    total = 0.0
    for axis, v in enumerate(velocity, start=1):
        lower, upper = part(axis, None, -1), part(axis, 1, None)
        p, clip = padded(u, axis), namespace(v).clip
        # The cell before a face gives what flows on, and the one behind it what flows back.
        flux = difference(clip(v, 0, None) * p[lower], clip(-v, 0, None) * p[upper])
        total = total + difference(flux[upper], flux[lower]) * u.shape[axis]
    return total
