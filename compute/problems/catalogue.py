from __future__ import annotations

from typing import Annotated

from ritz.compute.kind import OneOf
from ritz.compute.problems.acoustic import Acoustic
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
from ritz.compute.problems.evolutions.navier_stokes import NavierStokes
from ritz.compute.problems.evolutions.reaction_diffusion import ReactionDiffusion
from ritz.compute.problems.evolutions.wave import Wave
from ritz.compute.problems.external import External
from ritz.compute.problems.helmholtz import Helmholtz
from ritz.compute.problems.plate import Plate
from ritz.compute.problems.poisson import Poisson
from ritz.compute.problems.problem import Problem
from ritz.compute.problems.variational import Variational

SHIPPED: tuple[type[Problem], ...] = (
    *(Darcy, Poisson, Elliptic, Convection, Helmholtz),
    *(Acoustic, Heat, Burgers, Plate, Cookies),
    *(AdvectionDiffusion, KuramotoSivashinsky, Lorenz96, NavierStokes, Wave),
    *(ReactionDiffusion, AllenCahn, Variational),
)
"""The problems that come with the project; all of them pose systems but those in explicit steps."""

AnyProblem = Annotated[
    Problem,
    OneOf(
        Problem,
        lambda: (*SHIPPED, External),
        group="ritz.problems",
    ),
]
"""Field type: any shipped problem, `External`, one of an installed package, or an instance of one's own class."""
