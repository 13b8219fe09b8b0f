from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Annotated, Literal

import numpy as np
from pydantic import Field, field_validator

from ritz.compute.fields.dimensions import Dimensions
from ritz.compute.kind import Kind
from ritz.compute.uncertainty.alignment import align, origin, space
from ritz.compute.uncertainty.width import Width

Arrays = dict[str, np.ndarray]


@dataclass(frozen=True)
class Predicted:
    """Samples with a prediction and the truth, ``(n, *dims)`` for every variable, in physical units."""

    inputs: Mapping[str, np.ndarray]
    prediction: Mapping[str, np.ndarray]
    truth: Mapping[str, np.ndarray]

    def __post_init__(self) -> None:
        for name, predicted in self.prediction.items():
            if name not in self.truth or self.truth[name].shape != predicted.shape:
                have = {key: values.shape for key, values in self.truth.items()}
                raise ValueError(f"prediction {name!r} has shape {predicted.shape}, the truths are {have}")

    def error(self, name: str) -> np.ndarray:
        """Return the absolute error of one output, float64."""
        return np.abs(self.prediction[name].astype(np.float64) - self.truth[name])


class Conformal(Kind):
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

    kind: Literal["conformal"] = "conformal"
    levels: tuple[Annotated[float, Field(gt=0, lt=1)], ...] = Field(default=(0.5, 0.8, 0.9, 0.95), min_length=1)
    """Nominal coverages, rising."""

    @field_validator("levels")
    @classmethod
    def _rising(cls, levels: tuple[float, ...]) -> tuple[float, ...]:
        if any(low >= high for low, high in pairwise(levels)):
            raise ValueError(f"levels is {levels}, expected rising values without repeats")
        return levels

    def samples(self) -> int:
        """Return the smallest number of calibration samples that the highest level asks for."""
        return int(np.ceil(1 / (1 - self.levels[-1]) - 1 - 1e-9))

    def calibrate(
        self,
        validate: Predicted,
        calibrate: Predicted,
        transforms: Mapping[str, str] | None = None,
        dimensions: Dimensions | None = None,
    ) -> Bands:
        """Learn the widths and calibrate them.

        Parameters
        ----------
        validate
            Samples the surrogate was not trained on; the widths are learnt on them.
        calibrate
            Other samples that neither the surrogate nor the widths have seen.
        transforms
            ``"log"`` for the inputs whose logarithm is the natural scale.
        dimensions
            Of all variables; None if they all have the axes of space and no others.

        Returns
        -------
        Bands
            For every output that was predicted.

        Raises
        ------
        ValueError
            If there are fewer calibration samples than the highest level asks for, or no validation sample.
        """
        logs = {name for name, kind in (transforms or {}).items() if kind == "log"}
        outputs = {}
        for name in sorted(calibrate.prediction):
            error = calibrate.error(name)
            if len(error) < self.samples():
                raise ValueError(
                    f"the calibration split has {len(error)} samples, expected at least {self.samples()} for the "
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


class Bands(Kind):
    """Calibrated bands; `to_bytes` and `from_bytes` keep them beside the model.

    Attributes
    ----------
    levels
        Nominal coverages.
    outputs
        What was learnt and calibrated, by output.
    dimensions
        Of all variables; None if they all have the axes of space and no others.
    """

    levels: tuple[float, ...]
    outputs: dict[str, OutputBand]
    dimensions: Dimensions | None = None

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

    def measure(self, test: Predicted) -> dict[str, dict[str, float]]:
        """Measure coverage and mean width on samples that nothing has seen.

        Returns
        -------
        dict
            By level, as text: ``nominal``; ``measured``, the share of points inside; ``width``, the mean of
            upper minus lower; ``constant_measured`` and ``constant_width``, both of the constant band;
            ``constant_width_at_equal_coverage``, the width of a constant band that covers the share
            ``measured`` of these very points. Averages over the outputs where there are several.
        """
        rows: dict[str, dict[str, float]] = {}
        shapes = {name: self._shape(name, test.inputs, test.prediction) for name in self.outputs}
        errors = {name: test.error(name) for name in self.outputs}
        for index, level in enumerate(self.levels):
            found = []
            for name, band in self.outputs.items():
                half, error = band.factors[index] * shapes[name], errors[name]
                measured = float(np.mean(error <= half))
                found.append(
                    {
                        "nominal": level,
                        "measured": measured,
                        "width": float(2 * half.mean()),
                        "constant_measured": float(np.mean(error <= band.constants[index])),
                        "constant_width": 2 * band.constants[index],
                        "constant_width_at_equal_coverage": float(2 * np.quantile(error, measured)),
                    }
                )
            rows[f"{level:g}"] = {key: float(np.mean([row[key] for row in found])) for key in found[0]}
        return rows

    def to_bytes(self) -> bytes:
        """Return the bands as JSON."""
        return self.model_dump_json().encode()

    @classmethod
    def from_bytes(cls, blob: bytes) -> Bands:
        """Read what `to_bytes` wrote."""
        return cls.model_validate_json(blob)

    def _shape(self, name: str, inputs: Mapping[str, np.ndarray], prediction: Mapping[str, np.ndarray]) -> np.ndarray:
        """Return the width of one output, before its factor."""
        return self.outputs[name].width.predict(align(inputs, name, self.dimensions), prediction[name])

    def _index(self, level: float) -> int:
        """Return the place of a level."""
        for index, known in enumerate(self.levels):
            if abs(known - level) < 1e-9:
                return index
        raise ValueError(f"level is {level}, expected one of the calibrated levels {self.levels}")
