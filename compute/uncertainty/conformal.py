from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, ClassVar, Literal

import numpy as np
from pydantic import Field

from ritz.compute.fields.dimensions import Dimensions
from ritz.compute.kind import Kind, Source
from ritz.compute.uncertainty.alignment import align, origin, space
from ritz.compute.uncertainty.uncertainty import Arrays, Calibrated, Coverage, Need, Predicted, Uncertainty
from ritz.compute.uncertainty.width import Width


class Conformal(Uncertainty):
    """Split conformal bands on fields: prediction ± half width, pointwise.

    The half width is ``λ w(x)``. The shape ``w`` is learnt on the validation split from the input and the
    prediction (`Width`). The factor λ is calibrated on the calibration split by conformal risk control: the
    smallest λ with

        n/(n+1) · R(λ) + 1/(n+1) ≤ 1 − level,

    where R(λ) is the share of points outside the band, averaged over the ``n`` calibration samples.

    What is guaranteed: if a new sample is exchangeable with the calibration samples, and neither the surrogate
    nor the width has seen them, then the *expected share of its points* inside the band is at least the level.
    The expectation is over samples, the calibration ones included, and the share is over points. It is not a
    statement about every point, every sample, or one draw of the calibration split.

    Beside it a band of constant width is calibrated the same way. Where errors differ from point to point the
    learnt band is the narrower at high levels. At low levels the constant one may be narrower on average, since
    it gives up the points with large errors altogether.

    Source: Angelopoulos et al., "Conformal risk control", 2022 (arXiv:2208.02814), theorem 1.
    """

    about: ClassVar[str] = (
        "Split conformal bands, set on the calibration split and measured on the test split. A band is as wide as its "
        "point needs; a constant band is equally wide everywhere."
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

    def calibrate(
        self,
        validate: Predicted,
        calibrate: Predicted,
        transforms: Mapping[str, str] | None = None,
        dimensions: Dimensions | None = None,
    ) -> Bands:
        """Learn the widths on one split and calibrate them on the other; see `Uncertainty.calibrate`."""
        logs = {name for name, kind in (transforms or {}).items() if kind == "log"}
        outputs = {}
        for name in sorted(calibrate.prediction):
            error = calibrate.error(name)
            if len(error) < self._least():
                raise ValueError(
                    f"the calibration split has {len(error)} samples, expected at least {self._least()} for the "
                    f"level {self.levels[-1]}; draw more or leave that level out"
                )
            learnt, given = (align(part.inputs, name, dimensions) for part in (validate, calibrate))
            width = Width.fit(
                learnt,
                validate.prediction[name],
                validate.error(name),
                logs=tuple(sorted(key for key in learnt if origin(key) in logs)),
                space=space(name, dimensions),
                mesh=dimensions is not None and dimensions.mesh,
            )
            scores = error / width.predict(given, calibrate.prediction[name])
            outputs[name] = OutputBand(
                width=width,
                factors=tuple(risk_control(scores, level) for level in self.levels),
                constants=tuple(risk_control(error, level) for level in self.levels),
            )
        return Bands(levels=self.levels, outputs=outputs, dimensions=dimensions)


def risk_control(scores: np.ndarray, level: float) -> float:
    """Return the smallest factor whose share of scores above it is controlled at ``1 − level``.

    Parameters
    ----------
    scores
        ``(n, *dims)`` error over width at every point; finite.
    level
        Nominal coverage.

    Returns
    -------
    factor
        Smallest λ with ``n/(n+1) · mean(scores > λ) + 1/(n+1) ≤ 1 − level``; infinite if no λ does.

    Examples
    --------
    With one point a sample it is the usual conformal quantile, here the 18th of 19 scores:

    >>> risk_control(np.arange(1.0, 20.0)[:, None], 0.9)
    18.0
    """
    n, points = len(scores), scores[0].size
    allowed = points * ((n + 1) * (1 - level) - 1)
    # (n+1)(1−level) may fall just under the whole number it is.
    above = int(np.floor(allowed + 1e-6))
    if above < 0:
        return float("inf")
    return float(np.partition(scores, scores.size - 1 - above, axis=None)[scores.size - 1 - above])


class OutputBand(Kind):
    """The bands of one output: learnt width and calibrated factors, and constant half widths beside them."""

    width: Width
    factors: tuple[float, ...]
    constants: tuple[float, ...]


class Bands(Calibrated):
    """Calibrated bands.

    Attributes
    ----------
    levels
        Nominal coverages.
    outputs
        What was learnt and calibrated, by output.
    dimensions
        Of all variables; None if they all have the axes of space and no others.
    """

    kind: Literal["conformal"] = "conformal"
    levels: tuple[float, ...]
    outputs: dict[str, OutputBand]
    dimensions: Dimensions | None = None

    def interval(
        self, inputs: Mapping[str, np.ndarray], prediction: Mapping[str, np.ndarray], level: float
    ) -> tuple[Arrays, Arrays]:
        """Return the lower and the upper ends of the bands at one level; see `Calibrated.interval`."""
        half = self.half_width(inputs, prediction, level)
        return (
            {name: prediction[name] - width for name, width in half.items()},
            {name: prediction[name] + width for name, width in half.items()},
        )

    def half_width(
        self, inputs: Mapping[str, np.ndarray], prediction: Mapping[str, np.ndarray], level: float
    ) -> Arrays:
        """Return the half width of the band at one level.

        Parameters
        ----------
        inputs, prediction
            ``(n, *dims)`` for every variable, in physical units, on any grid (a mesh is what it was). The guarantee
            is for the grid of the calibration.
        level
            One of `levels`.

        Returns
        -------
        dict
            ``(n, *dims)`` float32 for every output.

        Raises
        ------
        ValueError
            If the level was not calibrated or a variable is missing.
        """
        index = self._index(level)
        return {
            name: (band.factors[index] * self._shape(name, inputs, prediction)).astype(np.float32)
            for name, band in self.outputs.items()
        }

    def measure(self, test: Predicted) -> tuple[Coverage, ...]:
        """Measure coverage and mean width on samples that nothing has seen; see `Calibrated.measure`.

        ``measured`` is the share of points inside. More figures: ``constant_measured`` and ``constant_width``, both of
        the constant band; ``constant_width_at_equal_coverage``, the width of a constant band that covers the share
        ``measured`` of these very points. Averages over the outputs where there are several.
        """
        rows = []
        shapes = {name: self._shape(name, test.inputs, test.prediction) for name in self.outputs}
        errors = {name: test.error(name) for name in self.outputs}
        for index, level in enumerate(self.levels):
            found = []
            for name, band in self.outputs.items():
                half, error = band.factors[index] * shapes[name], errors[name]
                measured = float(np.mean(error <= half))
                found.append(
                    {
                        "measured": measured,
                        "width": float(2 * half.mean()),
                        "constant_measured": float(np.mean(error <= band.constants[index])),
                        "constant_width": 2 * band.constants[index],
                        "constant_width_at_equal_coverage": float(2 * np.quantile(error, measured)),
                    }
                )
            mean = {key: float(np.mean([row[key] for row in found])) for key in found[0]}
            rows.append(Coverage(level, mean.pop("measured"), mean.pop("width"), mean))
        return tuple(rows)

    def _shape(self, name: str, inputs: Mapping[str, np.ndarray], prediction: Mapping[str, np.ndarray]) -> np.ndarray:
        """Return the width of one output, before its factor."""
        return self.outputs[name].width.predict(align(inputs, name, self.dimensions), prediction[name])

    def _index(self, level: float) -> int:
        """Return the place of a level."""
        for index, known in enumerate(self.levels):
            if abs(known - level) < 1e-9:
                return index
        raise ValueError(f"level is {level}, expected one of the calibrated levels {self.levels}")
