from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

import numpy as np
from pydantic import Field

from ritz.compute.evaluation.measured import Measured
from ritz.compute.uncertainty.predicted import About, Arrays, Predicted
from ritz.compute.uncertainty.scoring import Scoring
from ritz.compute.uncertainty.uncertainty import Calibrated, Need, Uncertainty


class NoUncertainty(Uncertainty):
    """No error bars: a model that predicts and says nothing of how far to trust it."""

    kind: Literal["none"] = "none"
    levels: tuple[float, ...] = Field(default=(), max_length=0)
    """None: there is nothing that could be calibrated."""

    def needs(self) -> dict[str, Need]:
        """Return that it asks for nothing; see `Uncertainty.needs`."""
        return {}

    def calibrate(
        self,
        validate: Predicted,
        calibrate: Predicted,
        about: About | None = None,
    ) -> Uncalibrated:
        """Return what has no levels; see `Uncertainty.calibrate`."""
        del validate, calibrate, about
        return Uncalibrated()

    def scoring(self, validate: Predicted, about: About) -> Nothing:
        """Return what keeps nothing; see `Uncertainty.scoring`."""
        del validate, about
        return Nothing()

    @classmethod
    def read(cls, blob: bytes) -> Uncalibrated:
        """Read what has no levels; see `Uncertainty.read`."""
        return Uncalibrated.from_bytes(blob)


class Nothing(Scoring):
    """What looks at samples and keeps nothing of them."""

    def scores(self, calibrate: Predicted) -> Measured:
        """Return nothing; see `Scoring.scores`."""
        del calibrate
        return Measured()

    def calibrated(self, scores: Measured) -> Uncalibrated:
        """Return what has no levels; see `Scoring.calibrated`."""
        del scores
        return Uncalibrated()


class Uncalibrated(Calibrated):
    """What is kept where there are no error bars."""

    kind: Literal["none"] = "none"
    levels: tuple[float, ...] = ()

    def interval(
        self, inputs: Mapping[str, np.ndarray], prediction: Mapping[str, np.ndarray], level: float
    ) -> tuple[Arrays, Arrays]:
        """Refuse any level; see `Calibrated.interval`."""
        del inputs, prediction
        raise ValueError(f"level is {level}, but no level was calibrated")
