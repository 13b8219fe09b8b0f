from __future__ import annotations

from typing import Annotated

from ritz.compute.evaluation.quantities.fields import Integral, Largest, MeanValue, Norm, PointValue
from ritz.compute.evaluation.quantities.quantity import Quantity
from ritz.compute.evaluation.quantities.wall import WallFlux
from ritz.compute.kind import OneOf

SHIPPED: tuple[type[Quantity], ...] = (MeanValue, Largest, Norm, PointValue, Integral, WallFlux)

QUANTITIES = OneOf(Quantity, lambda: SHIPPED, group="ritz.quantities")

AnyQuantity = Annotated[Quantity, QUANTITIES]
"""Field type: any shipped quantity, one of an installed package, or an instance of one's own class."""
