from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

import numpy as np
from pydantic import model_validator

from ritz.compute.kind import Kind
from ritz.compute.uncertainty.ranking import ranking
from ritz.compute.uncertainty.shares import promised
from ritz.compute.uncertainty.spread.catalogue import AnyFittedSpread
from ritz.compute.uncertainty.spread.spread import Shape
from ritz.compute.uncertainty.uncertainty import Arrays, Assessment, Calibrated, Coverage, Predicted, WholeFields

Scope = Literal["points", "fields"]
"""Whether bands hold a share of the points, or whole fields with that probability."""


class Factors(Kind):
    """By what the widths of one output are multiplied.

    Attributes
    ----------
    points
        ``(level, zone)`` for bands that hold a share of the points.
    constants
        ``(level,)`` half widths of bands around the prediction that are equally wide everywhere;
        in units of the output.
    """

    points: tuple[tuple[float, ...], ...]
    constants: tuple[float, ...]


class Bands(Calibrated):
    """Calibrated bands.

    Attributes
    ----------
    levels
        Nominal coverages.
    spread
        Where the bands lie and how wide they are, up to a factor.
    outputs
        The factors by output.
    fields
        By level, the factor of bands that hold all points of all outputs; None where they were not calibrated.
    samples
        How many the factors were calibrated on; None where that is not known.
    """

    kind: Literal["conformal"] = "conformal"
    levels: tuple[float, ...]
    spread: AnyFittedSpread
    outputs: dict[str, Factors]
    fields: tuple[float, ...] | None = None
    samples: int | None = None

    @model_validator(mode="before")
    @classmethod
    def _of_older_release(cls, given: Any) -> Any:
        """Read what a release wrote that had learnt widths alone, in one zone."""
        if not isinstance(given, Mapping) or "spread" in given or "outputs" not in given:
            return given
        outputs, dimensions = dict(given["outputs"]), given.get("dimensions")
        widths = {name: one["width"] for name, one in outputs.items()}
        return {key: value for key, value in given.items() if key != "dimensions"} | {
            "spread": {"kind": "learnt", "widths": widths, "dimensions": dimensions, "by_zone": False},
            "outputs": {
                name: {"points": [[factor] for factor in one["factors"]], "constants": one["constants"]}
                for name, one in outputs.items()
            },
        }

    def interval(
        self,
        inputs: Mapping[str, np.ndarray],
        prediction: Mapping[str, np.ndarray],
        level: float,
        scope: Scope = "points",
    ) -> tuple[Arrays, Arrays]:
        """Return the lower and the upper ends of the bands at one level; see `Calibrated.interval`.

        Parameters
        ----------
        scope
            ``"points"``: the expected share of the points inside is the level; ``"fields"``: with this probability all
            points of a sample are.

        Raises
        ------
        ValueError
            Also if bands around whole fields were not calibrated.
        """
        return self.intervals(inputs, prediction, (level,), scope)[0]

    def intervals(
        self,
        inputs: Mapping[str, np.ndarray],
        prediction: Mapping[str, np.ndarray],
        levels: tuple[float, ...],
        scope: Scope = "points",
    ) -> list[tuple[Arrays, Arrays]]:
        """Return `interval` at several levels."""
        places = [self._index(level) for level in levels]
        return self._around(self.spread.shape(inputs, prediction), places, scope)

    def answer(
        self, inputs: Mapping[str, np.ndarray], prediction: Mapping[str, np.ndarray]
    ) -> tuple[list[tuple[Arrays, Arrays]], Assessment | None]:
        """Return `intervals` at all levels and `assess`, from one shape; see `Calibrated.answer`."""
        shape = self.spread.shape(inputs, prediction)
        return self._around(shape, range(len(self.levels)), "points"), shape.assessment

    def _around(self, shape: Shape, places: Sequence[int], scope: Scope) -> list[tuple[Arrays, Arrays]]:
        """Return the ends of the bands at the levels of some places."""
        found = []
        for index in places:
            half = {name: self._half(shape, name, index, scope) for name in self.outputs}
            # A float32 prediction has bands of its own precision; a corrected field is float64, and its bands narrow.
            half = {name: width.astype(shape.centre[name].dtype) for name, width in half.items()}
            found.append(
                (
                    {name: shape.centre[name] - width for name, width in half.items()},
                    {name: shape.centre[name] + width for name, width in half.items()},
                )
            )
        return found

    def assess(self, inputs: Mapping[str, np.ndarray], prediction: Mapping[str, np.ndarray]) -> Assessment | None:
        """Return what the spread knows of the errors; see `Calibrated.assess`."""
        return self.spread.shape(inputs, prediction).assessment

    def ranking(self, test: Predicted) -> dict[str, float]:
        """Return how well the widths, or better estimates, rank the errors; see `Calibrated.ranking`."""
        shape = self.spread.shape(test.inputs, test.prediction)
        errors = {name: test.error(name) for name in self.outputs}
        return ranking(shape.estimate or shape.width, errors)

    def made(self) -> str:
        """Return what the spread says; see `Calibrated.made`."""
        return self.spread.made()

    def measure(self, test: Predicted) -> tuple[Coverage, ...]:
        """Measure coverage and mean width on samples that nothing has seen; see `Calibrated.measure`.

        More figures: ``interval_score``, the width and 2/(1 − level) times how far points outside are beyond the ends,
        in units of the output, small is good; ``constant_measured`` and ``constant_width``, both of the constant band;
        ``constant_width_at_equal_coverage``, the width of a constant band that covers the share ``measured`` of these
        very points. Averages over the outputs where there are several; a whole field is inside if all of them are.
        Samples whose bars have no bound are left out of widths.

        The interval score: T. Gneiting, A. Raftery, "Strictly proper scoring rules, prediction, and estimation", J. Am.
        Stat. Assoc. 102 (2007).
        """
        shape = self.spread.shape(test.inputs, test.prediction)
        scores = {name: shape.scores(test.truth, name) for name in self.outputs}
        errors = {name: test.error(name) for name in self.outputs}
        rows = []
        for index, level in enumerate(self.levels):
            shares, found = [], []
            for name, factors in self.outputs.items():
                inside = scores[name] <= self._factors(name, index, scores[name].shape[1:])
                shares.append(inside.reshape(len(test), -1).mean(axis=1))
                error, constant = errors[name], factors.constants[index]
                half = self._half(shape, name, index, "points")
                beyond = np.maximum(np.abs(test.truth[name].astype(np.float64) - shape.centre[name]) - half, 0)
                width = 2 * _finite_mean(half)
                found.append(
                    {
                        "width": width,
                        "interval_score": width + 2 / (1 - level) * _finite_mean(beyond),
                        "constant_measured": float(np.mean(error <= constant)),
                        "constant_width": 2 * constant,
                        "constant_width_at_equal_coverage": float(2 * np.quantile(error, shares[-1].mean())),
                    }
                )
            mean = {key: float(np.mean([row[key] for row in found])) for key in found[0]}
            rows.append(
                Coverage(
                    level,
                    np.mean(shares, axis=0),
                    mean.pop("width"),
                    None if self.samples is None else promised(level, self.samples),
                    self._whole(shape, scores, index, len(test)),
                    mean,
                )
            )
        return tuple(rows)

    def _whole(self, shape: Shape, scores: Mapping[str, np.ndarray], index: int, count: int) -> WholeFields | None:
        """Return what the bands around whole fields were worth."""
        if self.fields is None:
            return None
        worst = largest(scores, count)
        widths = [2 * _finite_mean(self._half(shape, name, index, "fields")) for name in self.outputs]
        return WholeFields(int((worst <= self.fields[index]).sum()), count, float(np.mean(widths)))

    def _half(self, shape: Shape, name: str, index: int, scope: Scope) -> np.ndarray:
        """Return the half width of the band of one output, ``(n, *dims)`` float64."""
        width = shape.width[name]
        if scope == "points":
            return self._factors(name, index, width.shape[1:]) * width
        if self.fields is None:
            raise ValueError("scope is 'fields', but these bands were calibrated for points alone")
        return self.fields[index] * width

    def _factors(self, name: str, index: int, shape: tuple[int, ...]) -> np.ndarray | float:
        """Return the factors of the points of one output, in the shape of a sample or one for all."""
        factors = self.outputs[name].points[index]
        zones = self.spread.zones(name, shape)
        return factors[0] if zones is None else np.array(factors)[np.minimum(zones, len(factors) - 1)]

    def _index(self, level: float) -> int:
        """Return the place of a level."""
        for index, known in enumerate(self.levels):
            if abs(known - level) < 1e-9:
                return index
        raise ValueError(f"level is {level}, expected one of the calibrated levels {self.levels}")


def _finite_mean(values: np.ndarray) -> float:
    """Return the mean of the values that are finite, NaN where none is."""
    finite = values[np.isfinite(values)]
    return float(finite.mean()) if finite.size else float("nan")


def largest(scores: Mapping[str, np.ndarray], count: int) -> np.ndarray:
    """Return the largest score of each of ``count`` samples, over all points of all outputs."""
    found: np.ndarray = np.max([values.reshape(count, -1).max(axis=1) for values in scores.values()], axis=0)
    return found
