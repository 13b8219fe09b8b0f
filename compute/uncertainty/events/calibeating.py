from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Annotated, ClassVar, Literal, Self

import numpy as np
from pydantic import Field

from ritz.compute.kind import OneOf, Source, in_units
from ritz.compute.uncertainty.events.online_gradient import OnlineGradient
from ritz.compute.uncertainty.events.online_newton import OnlineNewton
from ritz.compute.uncertainty.events.platt import Platt
from ritz.compute.uncertainty.events.recalibration import Recalibration, Recalibrator

PARAMETRIC = OneOf(Recalibration, lambda: (OnlineGradient, OnlineNewton, Platt), group="ritz.recalibrations")
"""What can be corrected bin by bin."""


class Calibeating(Recalibration):
    """Another recalibration, corrected bin by bin: the share of past outcomes among the samples that it put there.

    The middle of the bin counts as one sample more, the first. In the long run it is calibrated up to the width of a
    bin whatever the outcomes are, and its Brier score is at most that of the other one less the calibration error of
    that. All the past counts the same, so a drift within a bin is followed late.
    """

    sources: ClassVar[tuple[Source, ...]] = (
        Source(
            "Foster and Hart",
            "“Calibeating”: beating forecasters at their own game",
            2023,
            "Theoretical Economics 18",
            "the Brier score is that of the forecaster less its calibration error, in the long run",
            "events.txt",
        ),
    )

    kind: Literal["calibeating"] = "calibeating"
    inner: Annotated[Recalibration, PARAMETRIC] = OnlineGradient()
    """What is corrected."""
    bins: int = Field(default=10, ge=1, json_schema_extra=in_units("bins"))
    """Of the same width, from 0 to 1."""

    def begin(self) -> Binned:
        """Return the middles of the bins; see `Recalibration.begin`."""
        middles = (np.arange(self.bins) + 0.5) / self.bins
        return Binned(self.inner.begin(), (1,) * self.bins, tuple(middles.tolist()))


@dataclass(frozen=True)
class Binned(Recalibrator):
    """An inner recalibrator, and what came of its probabilities.

    Attributes
    ----------
    counts, happened
        Samples of each bin, and how many of the events took place; with one more of which the middle of the bin did.
    """

    inner: Recalibrator
    counts: tuple[int, ...]
    happened: tuple[float, ...]

    def mapped(self, logits: np.ndarray) -> np.ndarray:
        """Return the shares of the bins; see `Recalibrator.mapped`."""
        shares: np.ndarray = (np.array(self.happened) / np.array(self.counts))[self._bin(self.inner.mapped(logits))]
        return shares

    def after(self, logit: float, outcome: float) -> Self:
        """Count the outcome, and let the inner one learn; see `Recalibrator.after`."""
        [where] = self._bin(self.inner.mapped(np.array([logit]))).tolist()
        counts = tuple(count + (at == where) for at, count in enumerate(self.counts))
        happened = tuple(share + outcome * (at == where) for at, share in enumerate(self.happened))
        return replace(self, inner=self.inner.after(logit, outcome), counts=counts, happened=happened)

    def _bin(self, given: np.ndarray) -> np.ndarray:
        where: np.ndarray = np.minimum((given * len(self.counts)).astype(int), len(self.counts) - 1)
        return where
