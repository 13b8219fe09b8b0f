from __future__ import annotations

from collections.abc import Mapping
from typing import Self

import numpy as np

from ritz.compute.kind import Kind
from ritz.compute.uncertainty.conformal.factors import Ordered, conformal_quantile
from ritz.compute.uncertainty.conformal.scores import Scores
from ritz.compute.uncertainty.weights.features import Features

_KEPT = 128
"""Scores of a calibration sample that are kept, by output and zone."""


class Zone(Kind):
    """Scores of the calibration samples in one zone of an output; see `Scores`."""

    values: tuple[tuple[float, ...], ...]
    points: int

    @classmethod
    def of(cls, scores: Scores) -> Self:
        """Keep fewer of each sample."""
        fewer = Scores.of(scores.values, _KEPT)
        return cls(values=tuple(map(tuple, fewer.values.tolist())), points=fewer.points)

    def scores(self) -> Scores:
        """Return them."""
        return Scores(np.array(self.values), self.points)


class Reweighted(Kind):
    """What factors are found from anew for each sample, where its input decides how much the known ones say.

    Attributes
    ----------
    features
        Of the inputs.
    outputs
        Scores by output and zone.
    largest
        The largest score of each calibration sample.
    """

    features: Features
    outputs: dict[str, tuple[Zone, ...]]
    largest: tuple[float, ...]

    def points(self, levels: tuple[float, ...], weights: np.ndarray) -> Mapping[str, np.ndarray]:
        """Return the factors of bands that hold a share of the points.

        Parameters
        ----------
        weights
            ``(m, n)`` of the known samples for each new one.

        Returns
        -------
        dict
            By output ``(m, level, zone)``.
        """
        return {
            name: np.stack(
                [
                    [[ordered.factor(level, own) for level in levels] for own in weights]
                    for ordered in (Ordered.of(zone.scores()) for zone in zones)
                ],
                axis=2,
            )
            for name, zones in self.outputs.items()
        }

    def fields(self, levels: tuple[float, ...], weights: np.ndarray) -> np.ndarray:
        """Return the factors of bands around whole fields, ``(m, level)``."""
        largest = np.array(self.largest)
        return np.array([[conformal_quantile(largest, level, own) for level in levels] for own in weights])
