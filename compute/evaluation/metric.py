from __future__ import annotations

from abc import ABC, abstractmethod
from typing import ClassVar

import numpy as np

from ritz.compute.fields.dimensions import Dimensions
from ritz.compute.kind import Kind

Found = dict[str, np.ndarray]
"""Values ``(n,)`` of every sample, by the name of the part; one that has no parts is named ``""``."""


class Metric(Kind, ABC):
    """How far a prediction is from the truth, sample by sample; small is good."""

    kind: str

    title: ClassVar[str] = ""
    """What a report calls it; its kind where there is nothing."""

    def unfit(self, dimensions: Dimensions) -> str:
        """Return why there is no such number for fields of these dimensions, in a few words; ``""`` if there is."""
        del dimensions
        return ""

    @abstractmethod
    def measure(self, prediction: np.ndarray, truth: np.ndarray, dimensions: Dimensions, name: str) -> Found:
        """Measure one output.

        Parameters
        ----------
        prediction, truth
            ``(n, *dims)`` in physical units.
        dimensions
            Of all variables.
        name
            Of the output.

        Returns
        -------
        dict
            ``(n,)`` float64 by the name of the part, ``""`` for the whole.
        """
