from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from ritz.compute.evaluation.measured import Measured
from ritz.compute.uncertainty.predicted import About, Arrays, Predicted

if TYPE_CHECKING:
    from ritz.compute.uncertainty.uncertainty import Calibrated, Uncertainty


class Scoring(ABC):
    """Error bars on the way: what was learnt on the validation samples, and now looks at those to calibrate on.

    It looks at some samples at a time, wherever they are, and keeps little of each, so that a calibration takes the
    same memory whatever the size of the split.
    """

    limit: int | None = None
    """Samples that it looks at, at most; None for all."""

    def beside(self, about: About) -> Scoring:
        """Return it with what is known in this process at hand, the model too; itself where it needs nothing."""
        del about
        return self

    def alone(self) -> Scoring:
        """Return it without the model, as it goes to another process."""
        return self

    @abstractmethod
    def scores(self, calibrate: Predicted) -> Measured:
        """Return what is kept of some samples."""

    @abstractmethod
    def calibrated(self, scores: Measured) -> Calibrated:
        """Return the error bars, from what `scores` kept of all samples.

        Raises
        ------
        ValueError
            If there are fewer samples than `Uncertainty.needs` says.
        """


@dataclass(frozen=True)
class Whole(Scoring):
    """What keeps the samples as they are, and leaves all of it to `Uncertainty.calibrate`."""

    method: Uncertainty
    validate: Predicted
    about: About

    def beside(self, about: About) -> Whole:
        """Return it with all that is known; see `Scoring.beside`."""
        return replace(self, about=about)

    def alone(self) -> Whole:
        """Leave out the model and its samples; see `Scoring.alone`."""
        return self.beside(replace(self.about, model=None, training=None))

    def scores(self, calibrate: Predicted) -> Measured:
        """Return the samples themselves; see `Scoring.scores`."""
        parts = {"inputs": calibrate.inputs, "prediction": calibrate.prediction, "truth": calibrate.truth}
        rows = {f"{part}|{name}": values for part, fields in parts.items() for name, values in fields.items()}
        return Measured(rows if calibrate.places is None else rows | {"places": calibrate.places})

    def calibrated(self, scores: Measured) -> Calibrated:
        """Calibrate on all samples at once; see `Scoring.calibrated`."""
        parts: dict[str, Arrays] = {"inputs": {}, "prediction": {}, "truth": {}}
        for key, values in scores.rows.items():
            part, _, name = key.partition("|")
            if name:
                parts[part][name] = values
        calibrate = Predicted(**parts, places=scores.rows.get("places"))
        return self.method.calibrate(self.validate, calibrate, self.about)
