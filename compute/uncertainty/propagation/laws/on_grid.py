from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ritz.compute.problems.problem import Arrays
from ritz.compute.simulation.restriction import Restriction
from ritz.compute.uncertainty.propagation.laws.input_law import FittedInputLaw


@dataclass(frozen=True)
class OnGrid(FittedInputLaw):
    """A law on a grid with fewer points: the same id is the same sample, as far as the grid resolves it."""

    law: FittedInputLaw
    restriction: Restriction

    def draw(self, seed: int, ids: np.ndarray) -> Arrays:
        """Draw on the stored grid, and take means; see `FittedInputLaw.draw`."""
        return self.restriction.restrict(self.law.draw(seed, ids))
