from __future__ import annotations

import numpy as np
import pytest

from ritz.compute.problems.darcy import Darcy
from ritz.compute.problems.laws import Lognormal
from ritz.compute.sampling.order import greedy
from ritz.compute.solvers.assembly import diffusion
from ritz.compute.solvers.operators import Stencil
from ritz.compute.solvers.systems import Systems


def upwind(n, size, seed):
    """Convection–diffusion: not symmetric."""
    rng = np.random.default_rng(seed)
    c = diffusion(np.ones((n, size, size))).coefficients.copy()
    for axis in (0, 1):
        speed = 40 * size * rng.random((n, 1, 1))
        lower = c[:, 1 + 2 * axis]
        inner = (slice(None),) * (1 + axis) + (slice(1, None),)
        lower[inner] -= speed
        c[:, 0] += speed
    return Stencil(c)


def damped_waves(n, size, seed):
    """Helmholtz with damping: complex symmetric and indefinite."""
    rng = np.random.default_rng(seed)
    c = diffusion(np.ones((n, size, size))).coefficients.astype(np.complex128)
    c[:, 0] -= (100 + 20 * rng.random((n, size, size))) * (1 - 0.3j)
    return Stencil(c, symmetric=True)


def boxes(n, size, seed):
    """Diffusion in three dimensions."""
    return diffusion(np.exp(np.random.default_rng(seed).standard_normal((n, size // 2, size // 2, 5))))


def lognormal(n, size, seed):
    return diffusion(Darcy(shape=(size, size)).draw(seed, np.arange(n))["a"])


FAMILIES = {"lognormal": lognormal, "upwind": upwind, "damped waves": damped_waves, "boxes": boxes}


@pytest.fixture(params=FAMILIES)
def family(request):
    """Systems of several kinds: symmetric, not symmetric, complex, three-dimensional."""
    operators = FAMILIES[request.param](4, 16, 0)
    rhs = np.random.default_rng(1).standard_normal((4, *operators.shape)).astype(operators.dtype)
    if operators.dtype.kind == "c":
        rhs = rhs * (1 + 0.5j)
    return Systems(operators, rhs)


@pytest.fixture(scope="session")
def few_parameters():
    """Systems that depend on eight parameters, as drawn and sorted."""
    problem = Darcy(shape=(48, 48), law=Lognormal(modes=3))
    inputs = problem.draw(0, np.arange(12))
    operators = diffusion(inputs["a"])
    drawn = Systems(operators, np.ones((12, 48, 48)))
    return drawn, drawn.take(greedy(problem.features(inputs)))
