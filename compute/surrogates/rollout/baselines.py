from __future__ import annotations

from ritz.compute.surrogates.fitted.baselines import BASELINES
from ritz.compute.surrogates.fitted.fitted import Fitted
from ritz.compute.surrogates.grid import StateChannels
from ritz.compute.surrogates.normalisation import Normalisation
from ritz.compute.surrogates.rollout.persistence import Persistence

IN_TIME: dict[str, Fitted] = {"persistence": Persistence()}
"""Further ones of problems in time."""


def baselines(normalisation: Normalisation) -> dict[str, Fitted]:
    """Return what a model with this normalisation is measured against, by name; of a problem in time `IN_TIME` too.

    Raises
    ------
    ValueError
        If an input that is said to hold a state at time zero does not have the form of one.
    """
    in_time = StateChannels.of(normalisation.dimensions) is not None
    return BASELINES | (IN_TIME if in_time else {})
