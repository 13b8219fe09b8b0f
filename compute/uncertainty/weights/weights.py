from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from ritz.compute.kind import Kind
from ritz.compute.uncertainty.conformal.scores import Scores


@dataclass(frozen=True)
class Known:
    """What is known of the calibration samples.

    Attributes
    ----------
    places
        ``(n,)`` int64, where they stand in the order in which they came; None where that is not known.
    features
        ``(n, d)`` float64, numbers that tell their inputs apart; d is 0 for weights that do not depend on inputs.
    scores
        Of each output and zone.
    level
        Nominal coverage for which weights are to be good.
    highest
        The highest nominal coverage: for it too the weights have to leave samples enough.
    """

    places: np.ndarray | None
    features: np.ndarray
    scores: Sequence[Scores]
    level: float
    highest: float

    def __len__(self) -> int:
        """Return the number of samples."""
        return len(self.features)


class FittedWeights(Kind, ABC):
    """How much each calibration sample says of a new one; what is kept of `Weights`."""

    kind: str

    @abstractmethod
    def fixed(self) -> np.ndarray | None:
        """Return the weights ``(n,)`` where they are the same for all new samples; None where they are not."""

    def of(self, asked: np.ndarray) -> np.ndarray:
        """Return the weights for each of some new samples.

        Parameters
        ----------
        asked
            ``(m, d)`` their features.

        Returns
        -------
        weights
            ``(m, n)`` float64, not negative; that of the new sample itself is 1.
        """
        fixed = self.fixed()
        assert fixed is not None
        return np.broadcast_to(fixed, (len(asked), len(fixed)))

    def made(self) -> str:
        """Return in a sentence what the weights are; or ``""``."""
        return ""


class Weights(Kind, ABC):
    """How much each calibration sample says of a new one, where these need not come from one law.

    Weights never depend on scores of new samples. What is guaranteed with them: the coverage falls short of the level
    by at most the weighted sum of the distances in law between the calibration samples and the new one (R. F. Barber,
    E. J. Candès, A. Ramdas, R. J. Tibshirani, "Conformal prediction beyond exchangeability", Ann. Statist. 51 (2023);
    A. Farinhas et al., "Non-exchangeable conformal risk control", 2023, arXiv:2310.01262).
    """

    features: ClassVar[bool] = False
    """Whether they depend on the inputs of new samples."""

    kind: str

    def unfit(self) -> str:
        """Say why they are nothing for a run, which looks at some of the samples at a time; empty where they are."""
        return ""

    @abstractmethod
    def fit(self, known: Known) -> FittedWeights | None:
        """Return the weights; None where all are equal.

        Raises
        ------
        ValueError
            If what they depend on is not known, or they leave too few samples for the level.
        """


def effective(weights: np.ndarray) -> float:
    """Return how many equal samples say as much, ``(Σw)² / Σw²``.

    Examples
    --------
    >>> effective(np.array([1.0, 1.0, 0.0, 0.0]))
    2.0
    """
    total = float(np.sum(weights**2))
    return float(weights.sum()) ** 2 / total if total else 0.0
