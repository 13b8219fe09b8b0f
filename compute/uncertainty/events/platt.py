from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar, Literal, Self

import numpy as np
import scipy
from pydantic import Field

from ritz.compute.kind import Source, in_units
from ritz.compute.uncertainty.events.recalibration import Recalibration, Recalibrator, sigmoid


class Platt(Recalibration):
    """Platt's map, fitted once to the first outcomes and never again.

    The map is σ(a ℓ + b) of the logit ℓ of the raw probability, by maximum likelihood with targets that are drawn
    towards one half as published; raw probabilities until then.
    """

    sources: ClassVar[tuple[Source, ...]] = (
        Source(
            "Platt",
            "Probabilistic outputs for support vector machines and comparisons to regularized likelihood methods",
            1999,
            "Advances in Large Margin Classifiers",
            "",
            "events.txt",
        ),
    )

    kind: Literal["platt"] = "platt"
    samples: int = Field(default=500, ge=10, json_schema_extra=in_units("outcomes"))
    """It is fitted to so many outcomes, the first ones."""

    def begin(self) -> Fitted:
        """Return the identity; see `Recalibration.begin`."""
        return Fitted(self.samples)


@dataclass(frozen=True)
class Fitted(Recalibrator):
    """Platt's map, or what it is to be fitted to."""

    samples: int
    seen: tuple[tuple[float, float], ...] = ()
    slope: float = 1.0
    offset: float = 0.0

    def mapped(self, logits: np.ndarray) -> np.ndarray:
        """Return σ(a ℓ + b); see `Recalibrator.mapped`."""
        return sigmoid(self.slope * logits + self.offset)

    def after(self, logit: float, outcome: float) -> Self:
        """Keep the outcome until there are enough; see `Recalibrator.after`."""
        if len(self.seen) == self.samples:
            return self
        seen = (*self.seen, (logit, outcome))
        if len(seen) < self.samples:
            return replace(self, seen=seen)
        slope, offset = fitted(*np.array(seen).T)
        return replace(self, seen=seen, slope=slope, offset=offset)


def fitted(logits: np.ndarray, outcomes: np.ndarray) -> tuple[float, float]:
    """Return slope and offset of Platt's map by maximum likelihood.

    Parameters
    ----------
    logits, outcomes
        ``(n,)``.
    """
    count, happened = len(outcomes), outcomes.sum()
    targets = np.where(outcomes == 1, (happened + 1) / (happened + 2), 1 / (count - happened + 2))
    features = np.stack([logits, np.ones(count)], axis=1)

    def loss(at: np.ndarray) -> tuple[float, np.ndarray]:
        given = features @ at
        gradient = features.T @ (scipy.special.expit(given) - targets)
        return float(np.mean(np.logaddexp(0, given) - targets * given)), gradient / count

    slope, offset = scipy.optimize.minimize(loss, np.array([1.0, 0.0]), jac=True, method="BFGS").x
    return float(slope), float(offset)
