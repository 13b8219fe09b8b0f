from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal, Self

import numpy as np
from pydantic import Field

from ritz.compute.kind import Source, in_units
from ritz.compute.uncertainty.events.recalibration import Recalibration, Recalibrator, chance, sigmoid


class OnlineGradient(Recalibration):
    """Platt's map, moved a little by every outcome: one step of gradient descent on its log-loss.

    The map is σ(a ℓ + b) of the logit ℓ of the raw probability, first a = 1 and b = 0. A step of the same size always
    follows a drift for ever; where nothing drifts, the map jitters about the best one instead of coming to rest.
    """

    sources: ClassVar[tuple[Source, ...]] = (
        Source(
            "Zinkevich",
            "Online convex programming and generalized infinitesimal gradient ascent",
            2003,
            "International Conference on Machine Learning",
            "",
            "events.txt",
        ),
    )

    kind: Literal["online_gradient"] = "online_gradient"
    rate: float = Field(default=0.05, gt=0, le=1, json_schema_extra=in_units("per unit of the gradient"))
    """Size of a step: the outcomes of the last 1/rate samples or so count."""

    def begin(self) -> Descended:
        """Return the identity; see `Recalibration.begin`."""
        return Descended(self.rate)


@dataclass(frozen=True)
class Descended(Recalibrator):
    """Platt's map after some steps."""

    rate: float
    slope: float = 1.0
    offset: float = 0.0

    def mapped(self, logits: np.ndarray) -> np.ndarray:
        """Return σ(a ℓ + b); see `Recalibrator.mapped`."""
        return sigmoid(self.slope * logits + self.offset)

    def after(self, logit: float, outcome: float) -> Self:
        """Step against the gradient; see `Recalibrator.after`."""
        step = self.rate * (chance(self.slope * logit + self.offset) - outcome)
        return type(self)(self.rate, self.slope - step * logit, self.offset - step)
