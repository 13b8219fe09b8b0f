from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

import numpy as np

from ritz.compute.kind import Kind
from ritz.compute.uncertainty.novelty.novelty import Judged, Novelty, worded
from ritz.compute.uncertainty.novelty.statistics import statistics


class Bounds(Kind):
    """Between which values a statistic of the inputs that a model was trained on lies."""

    low: float
    high: float
    logarithm: bool = False

    def score(self, values: np.ndarray) -> np.ndarray:
        """Return the distances from the middle in half widths: up to 1 inside."""
        middle, half = (self.low + self.high) / 2, (self.high - self.low) / 2
        return np.abs(values - middle) / half


class Extremes(Novelty):
    """Bounds of every statistic, by the extremes of the training inputs: the rule of an older release.

    Models that it saved are judged by it still. The bounds have room for the tail of each statistic. The score is that
    of the statistic that is furthest out; there is no p-value. `ritz.compute.uncertainty.novelty.ranks.Ranks` is the
    rule of models that are saved now.
    """

    kind: Literal["extremes"] = "extremes"
    samples: int
    """Training inputs that were looked at."""
    bounds: dict[str, Bounds]
    """By the name of the statistic."""

    def judge(self, inputs: Mapping[str, np.ndarray]) -> Judged:
        """Compare inputs with the training inputs; see `Novelty.judge`."""
        found = list(statistics(inputs, self.logs, self.units, self.dimensions))
        scores = np.array([self.bounds[one.name].score(one.values) for one in found])
        # The first that is outside is the plainest; where none is, that which is furthest out.
        telling = np.where((scores > 1).any(axis=0), (scores > 1).argmax(axis=0), scores.argmax(axis=0))
        chosen = [(found[at], self.bounds[found[at].name], i) for i, at in enumerate(telling)]
        reasons = tuple(
            worded(one.name, float(one.values[i]), bounds.low, bounds.high, bounds.logarithm)
            for one, bounds, i in chosen
        )
        rule = "the rule 'extremes' of an older release"
        return Judged(scores.max(axis=0), np.full(scores.shape[1], np.nan), reasons, rule)
