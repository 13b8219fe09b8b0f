from __future__ import annotations

from typing import Annotated

from compute.kind import OneOf
from compute.problems.darcy import Darcy
from compute.problems.problem import Problem

AnyProblem = Annotated[Problem, OneOf(Problem, lambda: (Darcy,), group="ritz.problems")]
"""Field type: any shipped problem, one that an installed package adds, or an instance of one's own class."""
