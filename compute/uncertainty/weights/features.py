from __future__ import annotations

from collections.abc import Mapping
from typing import Self

import numpy as np

from ritz.compute.fields.dimensions import Dimensions
from ritz.compute.kind import Kind
from ritz.compute.uncertainty.novelty.statistics import natural, statistics
from ritz.compute.uncertainty.predicted import About


class Features(Kind):
    """Numbers that tell inputs apart: level, spread and roughness of each.

    Attributes
    ----------
    logs
        Inputs whose logarithms are looked at.
    units
        Deviation of each input.
    dimensions
        Of all variables.
    """

    logs: tuple[str, ...]
    units: dict[str, float]
    dimensions: Dimensions

    @classmethod
    def fit(cls, inputs: Mapping[str, np.ndarray], about: About) -> Self:
        """Learn the deviations.

        Raises
        ------
        ValueError
            If the dimensions are not known.
        """
        if about.dimensions is None:
            raise ValueError("uncertainty.weights depend on the inputs, whose dimensions are not known")
        logs = tuple(name for name in about.dimensions.inputs if about.transforms.get(name) == "log")
        deviations = {name: float(natural(name, inputs, logs).std()) for name in about.dimensions.inputs}
        return cls(logs=logs, units={k: v or 1.0 for k, v in deviations.items()}, dimensions=about.dimensions)

    def of(self, inputs: Mapping[str, np.ndarray]) -> np.ndarray:
        """Return the features of inputs, ``(n, d)`` float64."""
        found = [one.values for one in statistics(inputs, self.logs, self.units, self.dimensions)]
        return np.stack(found, axis=1)
