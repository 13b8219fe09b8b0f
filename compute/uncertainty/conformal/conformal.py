from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal

import numpy as np
from pydantic import Field, SerializerFunctionWrapHandler, model_serializer

from ritz.compute.kind import Source
from ritz.compute.uncertainty.conformal.bands import Bands, Factors, largest
from ritz.compute.uncertainty.conformal.factors import conformal_quantile, risk_control
from ritz.compute.uncertainty.spread.catalogue import AnySpread
from ritz.compute.uncertainty.spread.choice import AutoSpread
from ritz.compute.uncertainty.uncertainty import About, Need, Predicted, Uncertainty


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

    A band of constant width is calibrated the same way. Where errors differ from point to point the
    learnt band is the narrower at high levels. At low levels the constant one may be narrower on average, since
    it gives up the points with large errors altogether.

    Source: Angelopoulos et al., "Conformal risk control", 2022 (arXiv:2208.02814), theorem 1.
    """

    about: ClassVar[str] = (
        "Split conformal bands, set on the calibration split and measured on the test split. They hold a share of the "
        "points of a field, and wider ones whole fields."
    )

    sources: ClassVar[tuple[Source, ...]] = (
        Source(
            "Angelopoulos et al.",
            "Conformal risk control",
            2022,
            "arXiv:2208.02814",
            "the expected share of points inside is at least the level",
        ),
    )

    kind: Literal["conformal"] = "conformal"
    levels: tuple[Annotated[float, Field(gt=0, lt=1)], ...] = Field(default=(0.5, 0.8, 0.9, 0.95), min_length=1)
    """Nominal coverages, rising."""
    spread: AnySpread = AutoSpread()
    """Where the bands lie and how wide they are, up to a factor."""

    shifts: dict[str, dict[str, Any]] = Field(default={})
    """Laws on which the bands are measured too, by name: fields of the problem with other values, e.g.
    ``{rough: {law: {alpha: 1.5}}}``. 150 samples of each are solved."""

    @model_serializer(mode="wrap")
    def _without_defaults(self, write: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Leave out the usual spread and no shifts: recipes from before there were such fields are the same ones."""
        written: dict[str, Any] = write(self)
        if self.spread == AutoSpread():
            written.pop("spread", None)
        if not self.shifts:
            written.pop("shifts", None)
        return written

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

    def calibrate(self, validate: Predicted, calibrate: Predicted, about: About | None = None) -> Bands:
        """Find the shape of the bands on one split and calibrate their factors on the other.

        See `Uncertainty.calibrate`.
        """
        if len(calibrate) < self._least():
            raise ValueError(
                f"the calibration split has {len(calibrate)} samples, expected at least {self._least()} for the "
                f"level {self.levels[-1]}; draw more or leave that level out"
            )
        fitted = self.spread.fit(validate, about or About())
        shape = fitted.shape(calibrate.inputs, calibrate.prediction)
        names = sorted(calibrate.prediction)
        scores = {name: shape.scores(calibrate.truth, name) for name in names}
        outputs = {}
        for name in names:
            error = calibrate.error(name)
            zones = fitted.zones(name, error.shape[1:])
            parts = [scores[name]] if zones is None else [scores[name][:, zones == k] for k in range(zones.max() + 1)]
            outputs[name] = Factors(
                points=tuple(tuple(risk_control(part, level) for part in parts) for level in self.levels),
                constants=tuple(risk_control(error, level) for level in self.levels),
            )
        worst = largest(scores, len(calibrate))
        return Bands(
            levels=self.levels,
            spread=fitted,
            outputs=outputs,
            fields=tuple(conformal_quantile(worst, level) for level in self.levels),
            samples=len(calibrate),
        )
