"""Small instances of all families of problems, and fields that solve none of them."""

from __future__ import annotations

from typing import get_args

import numpy as np

from ritz.compute.kind import OneOf
from ritz.compute.problems.acoustic import Acoustic
from ritz.compute.problems.catalogue import AnyProblem
from ritz.compute.problems.convection import Convection
from ritz.compute.problems.cookies import Cookies
from ritz.compute.problems.darcy import Darcy
from ritz.compute.problems.elliptic import Elliptic
from ritz.compute.problems.evolutions.advection_diffusion import AdvectionDiffusion
from ritz.compute.problems.evolutions.allen_cahn import AllenCahn
from ritz.compute.problems.evolutions.burgers import Burgers
from ritz.compute.problems.evolutions.heat import Heat
from ritz.compute.problems.evolutions.kuramoto_sivashinsky import KuramotoSivashinsky
from ritz.compute.problems.evolutions.lorenz96 import Lorenz96
from ritz.compute.problems.evolutions.marching import Marching
from ritz.compute.problems.evolutions.navier_stokes import NavierStokes
from ritz.compute.problems.evolutions.reaction_diffusion import ReactionDiffusion
from ritz.compute.problems.evolutions.wave import Wave
from ritz.compute.problems.helmholtz import Helmholtz
from ritz.compute.problems.laws import Lognormal, TwoPhase
from ritz.compute.problems.plate import Plate
from ritz.compute.problems.poisson import Poisson
from ritz.compute.problems.problem import Arrays, Problem
from ritz.compute.problems.ranges import Range
from ritz.compute.problems.variational import Variational
from ritz.compute.solvers.minimisers.sobolev_descent import SobolevDescent

SMALL: dict[str, Problem] = {
    "darcy": Darcy(shape=(12, 16)),
    "darcy-square": Darcy(shape=(12, 12)),
    "darcy-3d": Darcy(shape=(6, 7, 8)),
    "darcy-two-phase": Darcy(shape=(12, 16), law=TwoPhase()),
    "darcy-contrast": Darcy(shape=(12, 12), law=TwoPhase(low=1, high=1000)),
    "poisson": Poisson(shape=(12, 16)),
    "elliptic": Elliptic(shape=(12, 16)),
    "elliptic-square": Elliptic(shape=(12, 12), law=Lognormal()),
    "convection": Convection(shape=(12, 16)),
    "helmholtz": Helmholtz(shape=(16, 18), wavenumber=8.0),
    "helmholtz-3d": Helmholtz(shape=(8, 8, 8), wavenumber=6.0),
    "acoustic": Acoustic(shape=(12, 16), wavenumber=6.0),
    "acoustic-3d": Acoustic(shape=(8, 8, 8), wavenumber=6.0),
    "heat": Heat(shape=(12, 16), steps=4),
    "burgers": Burgers(points=48, steps=6, end=0.2),
    "plate": Plate(cells=8),
    "cookies": Cookies(shape=(12, 16)),
    "kuramoto_sivashinsky": KuramotoSivashinsky(points=48, steps=12, store_every=3, end=3.0),
    "kuramoto_sivashinsky-range": KuramotoSivashinsky(
        points=48, steps=12, store_every=3, end=3.0, viscosity=Range(low=0.5, high=2, log=True)
    ),
    "lorenz96": Lorenz96(sites=12, steps=12, store_every=3, end=0.3, spin_up=40),
    "lorenz96-two-scales-range": Lorenz96(
        sites=8,
        fast=4,
        steps=20,
        store_every=5,
        end=0.1,
        spin_up=100,
        forcing=Range(low=8, high=16),
        amplitude_ratio=Range(low=5, high=10, log=True),
    ),
    "navier_stokes": NavierStokes(shape=(12, 16), steps=12, store_every=4, end=3.0),
    "navier_stokes-range": NavierStokes(
        shape=(16, 16),
        steps=12,
        store_every=4,
        end=3.0,
        viscosity=Range(low=1e-3, high=1e-2, log=True),
        forcing=Range(low=0, high=0.3),
    ),
    "advection_diffusion": AdvectionDiffusion(shape=(12, 16), velocity_y=-0.4, steps=6, store_every=2, end=0.3),
    "advection_diffusion-line": AdvectionDiffusion(
        shape=(32,), steps=4, end=0.3, velocity_x=Range(low=0.5, high=2), viscosity=Range(low=0.001, high=0.1, log=True)
    ),
    "wave": Wave(shape=(12, 16), steps=24, store_every=6, end=0.5),
    "wave-absorbing": Wave(
        shape=(12, 12), speed=Range(low=0.5, high=1.5), medium=None, walls="absorbing", steps=24, store_every=6, end=0.5
    ),
    "reaction_diffusion": ReactionDiffusion(shape=(12, 16), length=0.25, steps=4, end=16.0),
    "reaction_diffusion-range": ReactionDiffusion(
        shape=(12, 12), steps=4, end=16.0, feed=Range(low=0.01, high=0.1), kill=Range(low=0.02, high=0.1, log=True)
    ),
    "allen_cahn": AllenCahn(shape=(12, 16), epsilon=0.1, steps=4, end=2.0),
    "allen_cahn-range": AllenCahn(
        shape=(48,), length=2.0, steps=4, end=2.0, epsilon=Range(low=0.05, high=0.2, log=True)
    ),
    "variational": Variational(shape=(12, 16), strength=5.0),
    "variational-sobolev": Variational(shape=(8, 8), law=Lognormal(sigma=0.2), strength=5.0, method=SobolevDescent()),
}

CORRECTABLE = {name: problem for name, problem in SMALL.items() if not isinstance(problem, Marching)}
"""Those whose fields a step of their iteration corrects: of explicit steps it would be the solution itself."""


def kinds() -> set[str]:
    """Return the kinds of all families that can be chosen and solved: what was solved elsewhere has no equations."""
    return set(next(item for item in get_args(AnyProblem) if isinstance(item, OneOf)).kinds()) - {"external"}


def rough(problem: Problem, n: int) -> Arrays:
    """Return outputs of n samples by name, float64: a wave along the last axis and noise, the same everywhere."""
    fields = {}
    for name, output in problem.template(n).data_vars.items():
        if output.attrs["role"] == "output":
            noise = np.random.Generator(np.random.Philox(7)).random(output.shape) - 0.5
            fields[str(name)] = np.sin(3 * np.arange(output.shape[-1]) / output.shape[-1]) + 0.1 * noise
    return fields
