"""What the judges of inputs have in common: a score per sample, and what it says."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from ritz.compute.fields.dimensions import Dimensions
from ritz.compute.kind import Kind


@dataclass(frozen=True)
class Judged:
    """How unlike the known inputs some inputs are.

    Attributes
    ----------
    score
        ``(n,)`` float64, larger for what is less like them; above 1 an input is outside.
    p
        ``(n,)`` float64 conformal p-values; NaN where the rule has none.
    reasons
        For every sample the statistic that tells most, in words.
    rule
        What decided, in a few words.
    unsure
        Why nothing can be told from the scores, in a sentence; empty where they tell.
    """

    score: np.ndarray
    p: np.ndarray
    reasons: tuple[str, ...]
    rule: str
    unsure: str = ""

    @property
    def outside(self) -> np.ndarray:
        """Which inputs are unlike the known ones, ``(n,)`` bool; none where nothing can be told."""
        found: np.ndarray = self.score > 1
        return found & (not self.unsure)


class Novelty(Kind, ABC):
    """How unlike the inputs of a version of a dataset an input is; what is kept beside a model."""

    kind: str
    logs: tuple[str, ...]
    """Inputs whose logarithm is taken."""
    units: dict[str, float]
    """Standard deviation of every input, after its transform, over all samples and points."""
    dimensions: Dimensions
    """Of the variables."""

    @abstractmethod
    def judge(self, inputs: Mapping[str, np.ndarray]) -> Judged:
        """Compare inputs with the known ones.

        Parameters
        ----------
        inputs
            ``(n, *dims)`` for every input, in physical units, on any grid.
        """

    def to_bytes(self) -> bytes:
        """Return it as JSON."""
        return self.model_dump_json().encode()


def worded(name: str, value: float, low: float, high: float, logarithm: bool) -> str:
    """Return a statistic with the values that were expected, in words."""
    shown = [np.exp(one) if logarithm else one for one in (value, low, high)]
    return "{} {:.3g}, expected {:.3g} to {:.3g}".format(name, *shown)
