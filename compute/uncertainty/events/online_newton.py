from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import ClassVar, Literal, Self

import numpy as np
from pydantic import Field

from ritz.compute.kind import Source, in_units
from ritz.compute.uncertainty.events.recalibration import Recalibration, Recalibrator, chance, sigmoid

RADIUS = 100.0
"""Largest norm of the parameters, as published."""

AT_FIRST = 100.0
"""What the curvature is at first, times the identity, as published."""


class OnlineNewton(Recalibration):
    """Online Platt scaling: Platt's map, moved by every outcome with the online Newton step.

    Steps grow short as outcomes come in: it comes to rest where nothing drifts, and follows a drift late.
    """

    sources: ClassVar[tuple[Source, ...]] = (
        Source(
            "Gupta and Ramdas",
            "Online Platt scaling with calibeating",
            2023,
            "International Conference on Machine Learning, arXiv:2305.00070",
            "below static Platt scaling in calibration error and Brier score under drift, without tuning",
            "events.txt",
        ),
        Source(
            "Hazan, Agarwal and Kale",
            "Logarithmic regret algorithms for online convex optimization",
            2007,
            "Machine Learning 69",
        ),
    )

    kind: Literal["online_newton"] = "online_newton"
    gamma: float = Field(default=0.1, gt=0, le=1, json_schema_extra=in_units("per unit of the loss"))
    """The larger, the shorter the steps; 0.1 as published."""

    def begin(self) -> Stepped:
        """Return the identity; see `Recalibration.begin`."""
        return Stepped(self.gamma, AT_FIRST * np.eye(2))


@dataclass(frozen=True)
class Stepped(Recalibrator):
    """Platt's map after some steps.

    Attributes
    ----------
    curvature
        ``(2, 2)`` sum of the outer products of the gradients, and what it began with.
    parameters
        Slope and offset.
    """

    gamma: float
    curvature: np.ndarray
    parameters: np.ndarray = field(default_factory=lambda: np.array([1.0, 0.0]))

    def mapped(self, logits: np.ndarray) -> np.ndarray:
        """Return σ(a ℓ + b); see `Recalibrator.mapped`."""
        return sigmoid(self.parameters[0] * logits + self.parameters[1])

    def after(self, logit: float, outcome: float) -> Self:
        """Take the step; see `Recalibrator.after`."""
        slope, offset = self.parameters.tolist()
        gradient = (chance(slope * logit + offset) - outcome) * np.array([logit, 1.0])
        curvature = self.curvature + np.outer(gradient, gradient)
        moved = self.parameters - np.linalg.solve(curvature, gradient) / self.gamma
        return replace(self, curvature=curvature, parameters=_projected(moved, curvature))


def _projected(moved: np.ndarray, curvature: np.ndarray) -> np.ndarray:
    """Return the point of the ball that is nearest in the norm of the curvature."""
    if np.linalg.norm(moved) <= RADIUS:
        return moved
    values, vectors = np.linalg.eigh(curvature)
    ahead = values * (vectors.T @ moved)
    low, high = 0.0, float(np.linalg.norm(ahead)) / RADIUS
    # The multiplier of the constraint, by halving: the norm falls as it grows.
    for _ in range(100):
        middle = (low + high) / 2
        if np.linalg.norm(ahead / (values + middle)) > RADIUS:
            low = middle
        else:
            high = middle
    found: np.ndarray = vectors @ (ahead / (values + high))
    return found
