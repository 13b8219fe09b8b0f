from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

import numpy as np
from pydantic import Field, SerializerFunctionWrapHandler, model_serializer

from ritz.compute.evaluation.measured import Measured
from ritz.compute.fields.dimensions import Dimensions
from ritz.compute.kind import Fault, Source, in_units
from ritz.compute.uncertainty.conformal.bands import Bands, Factors, largest
from ritz.compute.uncertainty.conformal.factors import conformal_quantile, risk_control
from ritz.compute.uncertainty.conformal.reweighted import Reweighted, Zone
from ritz.compute.uncertainty.conformal.scores import Scores, kept_of
from ritz.compute.uncertainty.look import at_map
from ritz.compute.uncertainty.predicted import About, Predicted
from ritz.compute.uncertainty.scoring import Scoring
from ritz.compute.uncertainty.spread.catalogue import AnySpread
from ritz.compute.uncertainty.spread.choice import AutoSpread
from ritz.compute.uncertainty.spread.in_time import FittedInTime, held_times
from ritz.compute.uncertainty.spread.spread import FittedSpread
from ritz.compute.uncertainty.uncertainty import Need, Uncertainty
from ritz.compute.uncertainty.weights.catalogue import AnyWeights
from ritz.compute.uncertainty.weights.equal import Equal
from ritz.compute.uncertainty.weights.features import Features
from ritz.compute.uncertainty.weights.weights import Known

if TYPE_CHECKING:
    from ritz.compute.surrogates.surrogate import Surrogate


class Conformal(Uncertainty):
    """Split conformal bands on fields, pointwise and around whole fields.

    The half width at a point is ``λ w(x)``. Where the bands lie and their shape ``w`` come from the validation split
    (`ritz.compute.uncertainty.spread.spread.Spread`): with the default, around the prediction as the equations of the
    problem correct it, where they can. The factor λ is calibrated on the calibration split by conformal risk control:
    the smallest λ with

        n/(n+1) · R(λ) + 1/(n+1) ≤ 1 − level,

    where R(λ) is the share of points outside the band, averaged over the ``n`` calibration samples.

    What is guaranteed: if a new sample is exchangeable with the calibration samples, and neither the surrogate
    nor the width has seen them, then the *expected share of its points* inside the band is at least the level, and with
    continuous scores at most 1/(n+1) more. The expectation is over samples, the calibration ones included, and the
    share is over points. It is not a statement about every point, every sample, or one draw of the calibration split.

    Beside them stand bands around *whole fields*: λ is the conformal quantile of the largest score of a sample, so that
    with the probability of the level all points of all outputs of a new sample are inside.

    Over time: with ``per="time"`` each stored time has a factor of its own, by risk control over the points at that
    time, so that each of them has the guarantee above by itself. Bands around whole fields then hold all points at all
    times of a window together, by default at all stored times: λ is the conformal quantile of the largest score in the
    window, in the scale of each time (`ritz.compute.uncertainty.spread.in_time.FittedInTime`). Outside of the window
    they have no ends: NaN. Both are said of new trajectories from their beginning, and of no later time.

    A band of constant width is calibrated the same way. Where errors differ from point to point the
    learnt band is the narrower at high levels. At low levels the constant one may be narrower on average, since
    it gives up the points with large errors altogether.

    Source: Angelopoulos et al., "Conformal risk control", 2022 (arXiv:2208.02814), theorem 1.
    """

    about: ClassVar[str] = (
        "Split conformal bands, set on the calibration split and measured on the test split. They hold a share of the "
        "points of a field, and wider ones whole fields."
    )

    promise: ClassVar[str] = (
        "Over all draws of calibration and test samples from one law, the expected share of points inside the bands is "
        "at least the nominal one, and for errors without ties at most 1/(n + 1) more, with n calibration samples. "
        "Bands around whole fields hold all points of a new sample with at least the nominal probability."
    )

    sources: ClassVar[tuple[Source, ...]] = (
        Source(
            "Angelopoulos et al.",
            "Conformal risk control",
            2022,
            "arXiv:2208.02814",
            "the expected share of points inside is at least the level",
            "bands_in_time.txt",
        ),
        Source(
            "M. Cleaveland, I. Lee, G. J. Pappas, L. Lindemann",
            "Conformal prediction regions for time series using linear complementarity programming",
            2024,
            "AAAI (arXiv:2304.01075)",
            "the largest error over the times, each in a scale found on other samples, gives narrower regions for "
            "whole trajectories than a union bound over the times",
            "bands_in_time.txt",
        ),
    )

    kind: Literal["conformal"] = "conformal"
    levels: tuple[Annotated[float, Field(gt=0, lt=1)], ...] = Field(default=(0.5, 0.8, 0.9, 0.95), min_length=1)
    """Nominal coverages, rising."""
    spread: AnySpread = AutoSpread()
    """Where the bands lie and how wide they are, up to a factor."""

    weights: AnyWeights = Equal()
    """How much each calibration sample says of a new one, where they need not come from one law."""
    per: Literal["sample", "time"] = "sample"
    """Of what the share of points inside is controlled: of each sample, or of each of its stored times by itself."""
    window: Annotated[tuple[float, float], Field(json_schema_extra=in_units("time"))] | None = None
    """With ``per: time`` the first and the last time that bands around whole fields hold together; None for all."""
    shifts: dict[str, dict[str, Any]] = Field(default={})
    """Laws on which the bands are measured too, by name: fields of the problem with other values, e.g.
    ``{rough: {law: {alpha: 1.5}}}``. 150 samples of each are solved."""

    @model_serializer(mode="wrap")
    def _without_defaults(self, write: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Leave out what is usual: recipes from before there were such fields are the same ones."""
        written: dict[str, Any] = write(self)
        if self.spread == AutoSpread():
            written.pop("spread", None)
        if not self.shifts:
            written.pop("shifts", None)
        if self.weights == Equal():
            written.pop("weights", None)
        if self.per == "sample":
            written.pop("per", None)
        if self.window is None:
            written.pop("window", None)
        return written

    def faults(self) -> Iterator[Fault]:
        """Yield a window without factors by time, and one that ends before it begins; see `Kind.faults`."""
        if self.window is None:
            return
        said = f"window is [{self.window[0]:g}, {self.window[1]:g}]"
        if self.per != "time":
            yield Fault(("window", "per"), f"{said} with per {self.per!r}, expected per 'time': it is one of times")
        if self.window[0] > self.window[1]:
            yield Fault(("window",), f"{said}, expected the first time and a later one, or the same")

    @classmethod
    def promised(cls, document: Mapping[str, Any]) -> str:
        """Return what is guaranteed, of each time too where it has factors of its own; see `Uncertainty.promised`."""
        if document.get("per") != "time":
            return cls.promise
        window = document.get("window")
        held = "all stored times" if window is None else f"the stored times from {window[0]:g} to {window[1]:g}"
        return (
            f"{cls.promise} The first holds of the points of each stored time by itself, the second of all points at "
            f"{held} together."
        )

    def unfit(self, surrogate: Surrogate) -> str:
        """Return what the spread and the weights say; see `Uncertainty.unfit`."""
        return self.spread.unfit(surrogate) or self.weights.unfit()

    def check(self, dimensions: Dimensions) -> None:
        """Refuse factors by time where there is no time, and a window beyond the stored times."""
        if self.per == "time":
            held_times(dimensions, self.window)

    def other_laws(self) -> Mapping[str, Mapping[str, Any]]:
        """Return the shifts; see `Uncertainty.other_laws`."""
        return self.shifts

    def needs(self) -> dict[str, Need]:
        """Return how many samples it asks for; see `Uncertainty.needs`."""
        highest = f"the highest of uncertainty.levels, {self.levels[-1]:g}, asks for them"
        return {
            "validate": Need(1, "the width of the bands is learnt on them"),
            "calibrate": Need(self._least(), highest, ("levels",)),
        }

    @classmethod
    def read(cls, blob: bytes) -> Bands:
        """Read bands; see `Uncertainty.read`."""
        return Bands.from_bytes(blob)

    def _least(self) -> int:
        """Return the smallest number of calibration samples that the highest level asks for."""
        return int(np.ceil(1 / (1 - self.levels[-1]) - 1 - 1e-9))

    def scoring(self, validate: Predicted, about: About) -> ConformalScoring:
        """Find the shape of the bands on the validation samples; see `Uncertainty.scoring`."""
        features = Features.fit(validate.inputs, about) if self.weights.features else None
        spread = self.spread.fit(validate, about)
        if self.per == "time":
            spread = FittedInTime.fit(spread, validate, about.dimensions, self.window)
        return ConformalScoring(self, spread, features)

    def calibrate(self, validate: Predicted, calibrate: Predicted, about: About | None = None) -> Bands:
        """Find the shape of the bands on one split and calibrate their factors on the other.

        See `Uncertainty.calibrate`.
        """
        self._check(len(calibrate))
        scoring = self.scoring(validate, about or About())
        return scoring.calibrated(scoring.scores(calibrate))

    def _check(self, samples: int) -> None:
        """Refuse too few calibration samples."""
        if samples < self._least():
            raise ValueError(
                f"the calibration split has {samples} samples, expected at least {self._least()} for the "
                f"level {self.levels[-1]}; draw more or leave that level out"
            )


@dataclass(frozen=True)
class ConformalScoring(Scoring):
    """Bands whose shape is known and whose factors are not.

    Of each calibration sample it keeps some of the scores: see `Scores`.
    """

    method: Conformal
    spread: FittedSpread
    features: Features | None

    limit = 4096
    """More samples narrow the expected coverage by less than a part in 4000."""

    def beside(self, about: About) -> ConformalScoring:
        """Return it with the model at hand; see `Scoring.beside`."""
        return self if about.model is None else replace(self, spread=self.spread.beside(about.model))

    def scores(self, calibrate: Predicted) -> Measured:
        """Return scores of each sample, by output and zone; see `Scoring.scores`."""
        shape = self.spread.shape(calibrate.inputs, calibrate.prediction)
        scores = {name: shape.scores(calibrate.truth, name) for name in sorted(calibrate.truth)}
        rows = {"largest": largest(self.spread, scores, len(calibrate))}
        if calibrate.places is not None:
            rows["places"] = calibrate.places
        if self.features is not None:
            rows["features"] = self.features.of(calibrate.inputs)
        found = Measured(rows)
        for name, values in scores.items():
            zones = self.spread.zones(name, values.shape[1:])
            parts = [values] if zones is None else [values[:, zones == k] for k in range(zones.max() + 1)]
            for k, part in enumerate(parts):
                found |= Scores.of(part, kept_of(len(parts))).measured(f"{name}|zone {k}")
            found |= Scores.of(calibrate.error(name)).measured(f"{name}|error")
        return found

    def calibrated(self, scores: Measured) -> Bands:
        """Find the factors; see `Scoring.calibrated`."""
        worst, levels = scores.rows["largest"], self.method.levels
        self.method._check(len(worst))
        names = [key.removesuffix("|error|points") for key in scores.rows if key.endswith("|error|points")]
        zones = {name: self._zones(scores, name) for name in names}
        weights = self.method.weights.fit(
            Known(
                scores.rows.get("places"),
                scores.rows.get("features", np.empty((len(worst), 0))),
                [zone for of_output in zones.values() for zone in of_output],
                levels[at_map(levels)],
                levels[-1],
            )
        )
        fixed = None if weights is None else weights.fixed()
        if fixed is not None and fixed.sum() + 1 < (least := 1 / (1 - levels[-1])) - 1e-9:
            raise ValueError(
                f"uncertainty.weights: those of {len(worst)} samples add up to {fixed.sum():.1f}, expected at least "
                f"{least - 1:.0f} for the level {levels[-1]:g}"
            )
        outputs = {}
        for name in names:
            errors = Scores.of_measured(scores, f"{name}|error")
            outputs[name] = Factors(
                points=tuple(tuple(risk_control(zone, level, fixed) for zone in zones[name]) for level in levels),
                constants=tuple(risk_control(errors, level, fixed) for level in levels),
            )
        reweighted = None
        if self.features is not None:
            kept = {name: tuple(Zone.of(one) for one in of_output) for name, of_output in zones.items()}
            reweighted = Reweighted(features=self.features, outputs=kept, largest=tuple(worst.tolist()))
        return Bands(
            levels=levels,
            spread=self.spread,
            outputs=outputs,
            fields=tuple(conformal_quantile(worst, level, fixed) for level in levels),
            samples=len(worst),
            weights=weights,
            reweighted=reweighted,
        )

    @staticmethod
    def _zones(scores: Measured, name: str) -> list[Scores]:
        """Return the scores of an output by zone."""
        count = sum(key.startswith(f"{name}|zone ") and key.endswith("|points") for key in scores.rows)
        return [Scores.of_measured(scores, f"{name}|zone {k}") for k in range(count)]
