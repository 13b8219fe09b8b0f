from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ritz.compute.problems.evolution import Evolution


class EqualSteps(Evolution):
    """An evolution with the fields ``steps`` and ``end``, in equal steps; the state after each is stored.

    So every step can be checked from the states before and after it.
    """

    if TYPE_CHECKING:
        # Fields of a subclass, which keep their places among its others.
        steps: int
        end: float

    @property
    def interval(self) -> float:
        """Δt, the length of a step."""
        return self.end / self.steps

    @property
    def times(self) -> np.ndarray:
        """Return Δt, 2Δt, …, T; see `Evolution.times`."""
        return self.end * np.arange(1, self.steps + 1) / self.steps
