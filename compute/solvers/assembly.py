"""Cell-centred finite volumes on a box: second-order two-point fluxes, each equation divided by the cell volume."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np

from ritz.compute.solvers.operators import Stencil

Wall = Literal["dirichlet", "neumann"]
Walls = Sequence[tuple[Wall, Wall]]


def diffusion(a: np.ndarray, lengths: Sequence[float] | None = None, walls: Walls | None = None) -> Stencil:
    """Assemble −∇·(a ∇u) with harmonic means of ``a`` at the faces and half a cell to the walls.

    Parameters
    ----------
    a
        ``(n, *shape)`` positive coefficients at cell centres; computed in float64. One field broadcast along
        the first axis gives one matrix.
    lengths
        Extent of the box along each axis; 1 by default.
    walls
        What holds at the lower and upper wall of each axis: a given value (``"dirichlet"``, see `wall_source`
        for one that is not zero) or no flux (``"neumann"``). Dirichlet by default.

    Returns
    -------
    Stencil
        ``n`` symmetric operators, definite unless all walls are Neumann.
    """
    count, shape = len(a), a.shape[1:]
    if count > 1 and a.strides[0] == 0:
        one = diffusion(a[:1], lengths, walls)
        return Stencil(np.broadcast_to(one.coefficients, (count, *one.coefficients.shape[1:])), True, one.definite)
    a = a.astype(np.float64)
    axes = len(shape)
    sides = walls or [("dirichlet", "dirichlet")] * axes
    c = np.zeros((count, 1 + 2 * axes, *shape))
    centre = c[:, 0]
    for axis, weight in enumerate(_weights(shape, lengths)):
        at = (slice(None),) * (1 + axis)
        lower, upper = (*at, slice(None, -1)), (*at, slice(1, None))
        face = 2 * weight * a[lower] * a[upper] / (a[lower] + a[upper])
        c[:, 1 + 2 * axis][upper] = -face
        c[:, 2 + 2 * axis][lower] = -face
        centre[lower] += face
        centre[upper] += face
        for side, end in zip(sides[axis], (slice(None, 1), slice(-1, None)), strict=True):
            if side == "dirichlet":
                centre[(*at, end)] += 2 * weight * a[(*at, end)]
    return Stencil(c, symmetric=True, definite=any("dirichlet" in pair for pair in sides))


def convection_diffusion(
    diffusivity: float, velocity: Sequence[np.ndarray], lengths: Sequence[float] | None = None
) -> Stencil:
    """Assemble −ε Δu + ∇·(v u) with first-order upwind fluxes and Dirichlet walls.

    Parameters
    ----------
    diffusivity
        ε, positive.
    velocity
        For each axis the velocity through the faces across it, ``(n, *shape)`` with one more entry along the
        axis: entry ``i`` is the lower face of cell ``i``, positive towards higher indices. A divergence-free
        field has fluxes that sum to zero over every cell; then the operators are M-matrices.
    lengths
        Extent of the box along each axis; 1 by default.

    Returns
    -------
    Stencil
        ``n`` operators that are not symmetric. At a wall an inflow brings the wall's value (see `wall_source`).
    """
    shape = tuple(v.shape[1 + axis] - 1 for axis, v in enumerate(velocity))
    count = len(velocity[0])
    c = np.array(diffusion(np.full((1, *shape), float(diffusivity)), lengths).coefficients.repeat(count, axis=0))
    for axis, v in enumerate(velocity):
        at = (slice(None),) * (1 + axis)
        scale = shape[axis] / (lengths[axis] if lengths else 1.0)
        inner = v[(*at, slice(1, -1))] * scale
        lower, upper = (*at, slice(None, -1)), (*at, slice(1, None))
        forward, backward = np.maximum(inner, 0), np.minimum(inner, 0)
        c[:, 0][lower] += forward
        c[:, 2 + 2 * axis][lower] += backward
        c[:, 0][upper] -= backward
        c[:, 1 + 2 * axis][upper] -= forward
        # Through a wall only what flows out depends on the cell.
        c[:, 0][(*at, slice(None, 1))] -= np.minimum(v[(*at, slice(None, 1))], 0) * scale
        c[:, 0][(*at, slice(-1, None))] += np.maximum(v[(*at, slice(-1, None))], 0) * scale
    return Stencil(c, symmetric=False, definite=True)


def with_reaction(operators: Stencil, values: np.ndarray | float, definite: bool) -> Stencil:
    """Add a reaction ``values · u``: −k² of a Helmholtz equation, 1/Δt of an implicit step.

    Parameters
    ----------
    operators
        What it is added to.
    values
        Number, or array that broadcasts against ``(n, *shape)``.
    definite
        Whether the sums are positive definite.
    """
    c = operators.coefficients
    if operators.constant and len(c) > 1 and (np.ndim(values) <= len(operators.shape) or np.shape(values)[0] == 1):
        one = np.array(c[:1])
        one[:, 0] += values
        return Stencil(np.broadcast_to(one, c.shape), operators.symmetric, definite)
    # A broadcast array would be copied in the order of its strides, with the operators innermost.
    c = np.array(c, dtype=np.result_type(c, values), order="C")
    c[:, 0] += values
    return Stencil(c, operators.symmetric, definite)


def wall_source(
    a: np.ndarray, axis: int, upper: bool, value: np.ndarray | float, lengths: Sequence[float] | None = None
) -> np.ndarray:
    """Return what a given value at one Dirichlet wall adds to the right-hand side of `diffusion`.

    Parameters
    ----------
    a
        ``(n, *shape)`` coefficients at cell centres, as in `diffusion`.
    axis, upper
        Which wall.
    value
        Value at the wall, one that broadcasts against ``(n, *shape without axis)``.
    lengths
        Extent of the box along each axis; 1 by default.

    Returns
    -------
    source
        ``(n, *shape)`` float64, zero away from the wall.
    """
    weight = _weights(a.shape[1:], lengths)[axis]
    source = np.zeros(a.shape)
    cells = (slice(None),) * (1 + axis) + (-1 if upper else 0,)
    source[cells] = 2 * weight * a[cells] * value
    return source


def _weights(shape: Sequence[int], lengths: Sequence[float] | None) -> list[float]:
    """Return 1 / (cell width)² for each axis."""
    return [(cells / length) ** 2 for cells, length in zip(shape, lengths or (1.0,) * len(shape), strict=True)]
