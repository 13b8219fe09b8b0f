"""Exponential time differencing: steps that are exact in the linear part of an equation, fourth order in the rest."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import lru_cache
from typing import NamedTuple

import numpy as np

from ritz.compute.fields.arrays import Array, namespace
from ritz.compute.kind import Source

COX_MATTHEWS = Source(
    "Cox, Matthews",
    "Exponential time differencing for stiff systems",
    2002,
    "J. Comput. Phys. 176",
    "fourth order in the step, whatever the stiffness of the linear part",
)

KASSAM_TREFETHEN = Source(
    "Kassam, Trefethen",
    "Fourth-order time-stepping for stiff PDEs",
    2005,
    "SIAM J. Sci. Comput. 26",
    "contour integrals give the coefficients without cancellation",
)

_POINTS = 32
"""Points on the circle of the contour integral."""

_TERMS = 21
"""Terms of the power series within the unit circle: what is left out is below the round-off."""


_ROUNDING = 1e-9
"""What a factor of growth may exceed 1 by."""


class Coefficients(NamedTuple):
    """The coefficients of a step of v′ = L v + N(v) of length h, one per mode, in the shape of L.

    Attributes
    ----------
    full, half
        e^{hL} and e^{hL/2}.
    stage
        h φ₁(hL/2)/2, of the stages.
    first, middle, last
        h (φ₁ − 3φ₂ + 4φ₃), 2h (φ₂ − 2φ₃) and h (4φ₃ − φ₂) of hL, which weigh the nonlinear part at the start, at both
        middles and at the end.
    """

    full: Array
    half: Array
    stage: Array
    first: Array
    middle: Array
    last: Array


def by_contour(linear: np.ndarray, step: float) -> Coefficients:
    """Return the coefficients for a real diagonal L by means over a circle, as Kassam and Trefethen take them."""
    z = step * linear
    # The upper half of the circle: the functions are real on the real axis.
    circle = np.exp(1j * np.pi * (np.arange(_POINTS) + 0.5) / _POINTS)
    w = z[..., None] + circle
    growth = np.exp(w)

    def mean(values: np.ndarray) -> np.ndarray:
        found: np.ndarray = step * values.mean(axis=-1).real
        return found

    return Coefficients(
        np.exp(z),
        np.exp(z / 2),
        mean((np.exp(w / 2) - 1) / w),
        mean((-4 - w + growth * (4 - 3 * w + w**2)) / w**3),
        2 * mean((2 + w + growth * (w - 2)) / w**3),
        mean((-4 - 3 * w - w**2 + growth * (4 - w)) / w**3),
    )


def by_series(linear: Array, step: float) -> Coefficients:
    """Return the same coefficients from φ₁, φ₂, φ₃, power series near zero and their recurrence elsewhere.

    NumPy or torch, and differentiable there.
    """
    z, xp = step * linear, namespace(linear)
    one, two, three = (_phi(k, z) for k in (1, 2, 3))
    return Coefficients(
        xp.exp(z),
        xp.exp(z / 2),
        0.5 * step * _phi(1, z / 2),
        step * (one - 3 * two + 4 * three),
        2 * step * (two - 2 * three),
        step * (4 * three - two),
    )


def _phi(order: int, z: Array) -> Array:
    """Return φ_k(z) = Σ zʲ/(j + k)!."""
    xp = namespace(z)
    near = xp.abs(z) < 1
    small, large = xp.where(near, z, 0.0), xp.where(near, 1.0, z)
    total = xp.zeros_like(z)
    for j in range(_TERMS - 1, -1, -1):
        total = total * small / (j + order + 1) + 1
    found = xp.exp(large)
    for k in range(order):
        found = (found - 1 / math.factorial(k)) / large
    return xp.where(near, total / math.factorial(order), found)


def step(v: Array, nonlinear: Callable[[Array], Array], c: Coefficients) -> Array:
    """Return the modes one step on, by the scheme of Cox and Matthews with four evaluations.

    Parameters
    ----------
    v
        Modes, NumPy or torch, with ``c`` in the same library.
    nonlinear
        N.
    c
        The coefficients.
    """
    n = nonlinear(v)
    a = c.half * v + c.stage * n
    at_a = nonlinear(a)
    at_b = nonlinear(c.half * v + c.stage * at_a)
    at_c = nonlinear(c.half * a + c.stage * (2 * at_b - n))
    return c.full * v + c.first * n + c.middle * (at_a + at_b) + c.last * at_c


def stable_frequency(linear: np.ndarray) -> np.ndarray:
    """Return up to which frequency σ steps of v′ = (L + iσ/h) v never let v grow, the iσ/h taken as nonlinear part.

    A convection of speed s is such a part for a mode of wave number k, with σ = h s k.

    Parameters
    ----------
    linear
        h L, not positive.

    Returns
    -------
    frequency
        In the shape of ``linear``: 2√2 for L = 0, as that of the classical Runge–Kutta method, and h |L|/√2 for h L far
        below zero; less than their sum between.
    """
    sizes, shares = _stability()
    found: np.ndarray = _bound(-linear) * np.interp(np.log(np.maximum(-linear, sizes[0])), np.log(sizes), shares)
    return found


def _bound(size: np.ndarray) -> np.ndarray:
    """Return the sum of both limits of the stable frequency, h |L| given."""
    found: np.ndarray = 8**0.5 + size / 2**0.5
    return found


@lru_cache(maxsize=1)
def _stability() -> tuple[np.ndarray, np.ndarray]:
    """Return values of h |L| and the stable frequencies there as shares of `_bound`."""
    sizes = np.logspace(-4, 6, 201)
    shares = np.linspace(0, 1.01, 2021)[1:]
    frequencies = _bound(sizes)[:, None] * shares
    coefficients = Coefficients(*(one[:, None] for one in by_contour(-sizes, 1.0)))
    factors = step(np.ones_like(frequencies) + 0j, lambda v: 1j * frequencies * v, coefficients)
    return sizes, shares[np.argmax(np.abs(factors) > 1 + _ROUNDING, axis=1) - 1]
