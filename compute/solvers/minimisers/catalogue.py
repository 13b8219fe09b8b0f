from __future__ import annotations

from typing import Annotated

from ritz.compute.kind import OneOf
from ritz.compute.solvers.minimisers.damped_newton import DampedNewton
from ritz.compute.solvers.minimisers.minimiser import Minimiser
from ritz.compute.solvers.minimisers.sobolev_descent import SobolevDescent

SHIPPED: tuple[type[Minimiser], ...] = (DampedNewton, SobolevDescent)
"""The minimisers that come with the project."""

AnyMinimiser = Annotated[Minimiser, OneOf(Minimiser, lambda: SHIPPED, group="ritz.minimisers", short=True)]
"""Field type: any shipped minimiser, one of an installed package, or an instance of one's own class."""
