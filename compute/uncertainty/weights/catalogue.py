from __future__ import annotations

from typing import Annotated

from ritz.compute.kind import OneOf
from ritz.compute.uncertainty.weights.age import Age, FittedAge
from ritz.compute.uncertainty.weights.density_ratio import DensityRatio, FittedDensityRatio
from ritz.compute.uncertainty.weights.distance import Distance, FittedDistance
from ritz.compute.uncertainty.weights.equal import Equal
from ritz.compute.uncertainty.weights.weights import FittedWeights, Weights

WEIGHTS = OneOf(Weights, lambda: (Equal, Age, Distance, DensityRatio), group="ritz.weights")
"""The shipped weights, and those of installed packages."""

AnyWeights = Annotated[Weights, WEIGHTS]
"""Field type: any shipped weights, or an instance of one's own class."""

AnyFittedWeights = Annotated[
    FittedWeights,
    OneOf(FittedWeights, lambda: (FittedAge, FittedDistance, FittedDensityRatio), group="ritz.fitted_weights"),
]
"""Field type: what is kept of any of them."""
