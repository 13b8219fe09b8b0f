from __future__ import annotations

from typing import Annotated

from compute.kind import OneOf
from compute.problems.acoustic import Acoustic
from compute.problems.burgers import Burgers
from compute.problems.convection import Convection
from compute.problems.darcy import Darcy
from compute.problems.elliptic import Elliptic
from compute.problems.heat import Heat
from compute.problems.helmholtz import Helmholtz
from compute.problems.plate import Plate
from compute.problems.poisson import Poisson
from compute.problems.problem import Problem

SHIPPED: tuple[type[Problem], ...] = (
    *(Darcy, Poisson, Elliptic, Convection, Helmholtz),
    *(Acoustic, Heat, Burgers, Plate),
)
"""The problems that come with the project; all of them pose systems."""

AnyProblem = Annotated[
    Problem,
    OneOf(
        Problem,
        lambda: SHIPPED,
        group="ritz.problems",
    ),
]
"""Field type: any shipped problem, one that an installed package adds, or an instance of one's own class."""
