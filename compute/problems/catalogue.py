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

AnyProblem = Annotated[
    Problem,
    OneOf(
        Problem,
        lambda: (Darcy, Poisson, Elliptic, Convection, Helmholtz, Acoustic, Heat, Burgers, Plate),
        group="ritz.problems",
    ),
]
"""Field type: any shipped problem, one that an installed package adds, or an instance of one's own class."""
