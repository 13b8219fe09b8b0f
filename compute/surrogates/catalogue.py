from __future__ import annotations

from typing import Annotated

from ritz.compute.kind import OneOf
from ritz.compute.surrogates.ensemble.ensemble import Ensemble
from ritz.compute.surrogates.ensemble.randomized_prior import RandomizedPrior
from ritz.compute.surrogates.families import FITTED, NETWORKS
from ritz.compute.surrogates.rollout.closure import Closure
from ritz.compute.surrogates.rollout.latent_ode import LatentODE
from ritz.compute.surrogates.rollout.persistence import Persistence
from ritz.compute.surrogates.rollout.refiner import Refiner
from ritz.compute.surrogates.rollout.staggered import Staggered
from ritz.compute.surrogates.rollout.stepping import Stepping
from ritz.compute.surrogates.surrogate import Surrogate

SHIPPED: tuple[type[Surrogate], ...] = (
    *NETWORKS,
    *FITTED,
    RandomizedPrior,
    Ensemble,
    Persistence,
    Stepping,
    Refiner,
    Closure,
    Staggered,
    LatentODE,
)

AnySurrogate = Annotated[Surrogate, OneOf(Surrogate, lambda: SHIPPED, group="ritz.surrogates")]
"""Field type: any shipped surrogate, one that an installed package adds, or an instance of one's own class."""
