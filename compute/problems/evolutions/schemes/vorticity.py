"""The steps of vorticity on a flat torus among Fourier modes, and what they take on a grid."""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

import numpy as np
import scipy

from ritz.compute.problems.box import grid, periodic
from ritz.compute.problems.evolutions.schemes import exponential
from ritz.compute.problems.evolutions.schemes.exponential import Coefficients, by_contour, stable_frequency


class Plan(NamedTuple):
    """What steps with real transforms take on a grid, in the columns of modes that are kept.

    Attributes
    ----------
    velocity
        Modes of u and v from those of w, ``(2, ny, columns)`` complex128.
    shear, strain
        What the modes of u v and of v² − u² add to those of ∂w/∂t, ``(ny, columns)`` complex128.
    force
        Modes of f for F = 1, ``(ny, columns)`` complex128.
    kept
        Which modes are kept, ``(ny, columns)`` bool.
    squares, places
        The different values of kₓ² + k_y² of the kept modes, from 0, and which of them is that of a mode,
        ``(ny, columns)``.
    """

    velocity: np.ndarray
    shear: np.ndarray
    strain: np.ndarray
    force: np.ndarray
    kept: np.ndarray
    squares: np.ndarray
    places: np.ndarray


@lru_cache(maxsize=32)
def plan_of(shape: tuple[int, int]) -> Plan:
    """Make the plan of a grid."""
    columns = int(periodic.resolved(shape)[0].sum())
    kept = periodic.resolved(shape)[:, :columns]
    ky, kx = (waves[..., :columns] for waves in periodic.wave_numbers(shape, 1.0))
    squares, places = np.unique(np.where(kept, kx**2 + ky**2, 0.0), return_inverse=True)
    by_square = kept / np.where(kx**2 + ky**2 > 0, kx**2 + ky**2, 1.0)
    force = np.zeros(kept.shape, dtype=np.complex128)
    # sin θ + cos θ = Re (1 − i) exp(iθ) with θ = 2π(x + y); the centre of the first cell lies half a cell into the box.
    force[1, 1] = 0.5 * (1 - 1j) * np.prod(shape) * np.exp(1j * np.pi * sum(1 / cells for cells in shape))
    return Plan(
        np.stack([1j * ky * by_square, -1j * kx * by_square]),
        kept * (kx**2 - ky**2 + 0j),
        kept * (kx * ky + 0j),
        force,
        kept,
        squares,
        places.reshape(kept.shape),
    )


@lru_cache(maxsize=128)
def by_square(shape: tuple[int, int], viscosity: float, interval: float) -> tuple[Coefficients, float]:
    """Return the coefficients of steps for each of the plan's ``squares``, and the largest speed of stable steps."""
    squares = plan_of(shape).squares
    rates = -viscosity * squares
    speeds = stable_frequency(interval * rates[1:]) / (interval * np.sqrt(squares[1:]))
    return by_contour(rates, interval), float(speeds.min())


def marched(
    first: np.ndarray, plan: Plan, coefficients: Coefficients, limit: float, forcing: float, steps: int
) -> np.ndarray:
    """Return the state of one sample so many steps after its first, NaN if a speed exceeds the limit of stable steps.

    Parameters
    ----------
    first
        ``(ny, nx)`` float64.
    plan
        Of the grid.
    coefficients, limit
        As of `by_square`.
    forcing
        F.
    steps
        Time steps.
    """
    (ny, nx), columns = first.shape, plan.force.shape[-1]
    spread = Coefficients(*(values[plan.places] for values in coefficients))
    force = forcing * plan.force
    # Modes of both velocities; those beyond the kept columns stay zero.
    velocities = np.zeros((2, ny, nx // 2 + 1), dtype=np.complex128)
    products, fastest = np.empty((2, ny, nx)), 0.0

    def nonlinear(modes: np.ndarray) -> np.ndarray:
        nonlocal fastest
        np.multiply(plan.velocity, modes, out=velocities[..., :columns])
        u, v = both = scipy.fft.irfft2(velocities, (ny, nx))
        np.multiply(u, v, out=products[0])
        np.square(both, out=both)
        fastest = np.maximum(fastest, np.add(u, v, out=products[1]).max())
        np.subtract(v, u, out=products[1])
        sheared, strained = scipy.fft.rfft2(products)[..., :columns]
        found: np.ndarray = plan.shear * sheared
        found += plan.strain * strained
        found += force
        return found

    modes = scipy.fft.rfft2(first)[:, :columns] * plan.kept
    for _ in range(steps):
        modes = exponential.step(modes, nonlinear, spread)
    if not fastest <= limit**2:
        return np.full_like(first, np.nan)
    velocities[0, :, :columns] = modes
    found: np.ndarray = scipy.fft.irfft2(velocities[0], (ny, nx))
    return found


class Whole(NamedTuple):
    """What steps with complex transforms take on a grid, among all modes of complex transforms, ``(ny, nx)``.

    Attributes
    ----------
    kept
        Which modes are kept.
    slope, speed
        The modes of ∂w/∂x + i ∂w/∂y and of u + iv from those of w, complex128: u·∇w is the real part of the one times
        the conjugate other.
    wave
        f for F = 1 at the centres of the cells, float64.
    squares, places
        The different values of kₓ² + k_y² from 0, and which of them is that of a mode.
    """

    kept: np.ndarray
    slope: np.ndarray
    speed: np.ndarray
    wave: np.ndarray
    squares: np.ndarray
    places: np.ndarray


@lru_cache(maxsize=32)
def whole_of(shape: tuple[int, int]) -> Whole:
    """Make it for a grid."""
    ky, kx = periodic.wave_numbers(shape, 1.0, whole=True)
    by_square = 1 / np.where(kx**2 + ky**2 > 0, kx**2 + ky**2, 1.0)
    y, x = (2 * np.pi * grid.centres(cells) for cells in shape)
    squares, places = np.unique(kx**2 + ky**2, return_inverse=True)
    return Whole(
        periodic.resolved(shape, whole=True).copy(),
        1j * kx - ky,
        (kx + 1j * ky) * by_square,
        np.sin(y[:, None] + x) + np.cos(y[:, None] + x),
        squares,
        places.reshape(shape),
    )
