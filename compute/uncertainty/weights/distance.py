from __future__ import annotations

from typing import ClassVar, Literal

import numpy as np
from pydantic import Field

from ritz.compute.kind import in_units
from ritz.compute.uncertainty.weights.weights import FittedWeights, Known, Weights


class FittedDistance(FittedWeights):
    """Weights that fall with the distance between inputs.

    Attributes
    ----------
    location, scale
        ``(d,)`` mean and standard deviation of the features of the calibration samples.
    features
        ``(n, d)`` theirs, in these units.
    bandwidth
        See `Distance`.
    """

    kind: Literal["distance"] = "distance"
    location: tuple[float, ...]
    scale: tuple[float, ...]
    features: tuple[tuple[float, ...], ...]
    bandwidth: float

    def fixed(self) -> None:
        """Return that they depend on the new sample; see `FittedWeights.fixed`."""

    def of(self, asked: np.ndarray) -> np.ndarray:
        """Return ``exp(−d² / 2h²)``; see `FittedWeights.of`."""
        own = (asked - np.array(self.location)) / np.array(self.scale)
        apart = own[:, None, :] - np.array(self.features)[None]
        found: np.ndarray = np.exp(-0.5 * np.mean(apart**2, axis=2) / self.bandwidth**2)
        return found

    def made(self) -> str:
        """Return what they depend on; see `FittedWeights.made`."""
        return "The weight of a calibration sample falls with the distance of its input from that of the new sample."


class Distance(Weights):
    """Weights that fall with the distance between the features of inputs: level, spread and roughness.

    An option that was measured and does not pay (``benchmarks/drift.txt``): under a drift that age weights follow to
    90 %, a bandwidth of 1 leaves most of what equal weights miss, and one of ½ holds more than the level by caution
    alone, in bands that are wider than those of age weights: few samples are near, and the weight of the new one itself
    counts as outside.
    """

    features: ClassVar[bool] = True

    kind: Literal["distance"] = "distance"
    bandwidth: float = Field(default=1.0, gt=0, json_schema_extra=in_units("standard deviations"))
    """Distance per feature at which a weight has fallen to exp(−½)."""

    def fit(self, known: Known) -> FittedDistance:
        """Return the weights; see `Weights.fit`."""
        location, scale = known.features.mean(axis=0), known.features.std(axis=0)
        scale = np.where(scale > 0, scale, 1.0)
        return FittedDistance(
            location=tuple(location.tolist()),
            scale=tuple(scale.tolist()),
            features=tuple(map(tuple, ((known.features - location) / scale).tolist())),
            bandwidth=self.bandwidth,
        )
