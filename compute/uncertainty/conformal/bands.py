from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, Self

import numpy as np
from pydantic import SerializerFunctionWrapHandler, model_serializer, model_validator

from ritz.compute.evaluation.measured import Measured
from ritz.compute.evaluation.tally import Tally
from ritz.compute.fields.dimensions import Dimensions
from ritz.compute.kind import Kind
from ritz.compute.uncertainty.conformal.reweighted import Reweighted
from ritz.compute.uncertainty.coverage import Coverage, WholeFields
from ritz.compute.uncertainty.look import covered, look, mean_over, means
from ritz.compute.uncertainty.predicted import Arrays, Assessment, Predicted
from ritz.compute.uncertainty.shares import promised
from ritz.compute.uncertainty.spread.catalogue import AnyFittedSpread
from ritz.compute.uncertainty.spread.spread import FittedSpread, Shape
from ritz.compute.uncertainty.uncertainty import Calibrated, Scope
from ritz.compute.uncertainty.weights.catalogue import AnyFittedWeights

if TYPE_CHECKING:
    from ritz.compute.problems.problem import Problem
    from ritz.compute.surrogates.model import Model

WHOLE = "whole"
"""Rows of a `Measured`: whether all points of a sample were inside, ``(n, level)``."""

_OPTIONAL = ("weights", "reweighted")


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


class _Own(NamedTuple):
    """Factors of each sample: by output ``(n, level, zone)``, and for whole fields ``(n, level)``."""

    points: Mapping[str, np.ndarray]
    fields: np.ndarray


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
    weights
        How much each of them says of a new one; None where all say as much.
    reweighted
        What the factors are found from anew for each sample, where its input decides about the weights; they take the
        place of those above.
    """

    kind: Literal["conformal"] = "conformal"
    levels: tuple[float, ...]
    spread: AnyFittedSpread
    outputs: dict[str, Factors]
    fields: tuple[float, ...] | None = None
    samples: int | None = None
    weights: AnyFittedWeights | None = None
    reweighted: Reweighted | None = None

    @model_serializer(mode="wrap")
    def _without_weights(self, write: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Leave out weights where there are none, as bands from before there were such have it."""
        written: dict[str, Any] = write(self)
        return {key: value for key, value in written.items() if value is not None or key not in _OPTIONAL}

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
        shape, own = self.spread.shape(inputs, prediction), self._own(inputs)
        return self._around(shape, own, places, scope)

    def scopes(self) -> tuple[Scope, ...]:
        """Return for what there are factors; see `Calibrated.scopes`."""
        return ("points",) if self.fields is None else ("points", "fields")

    def answer(
        self, inputs: Mapping[str, np.ndarray], prediction: Mapping[str, np.ndarray], scope: Scope = "points"
    ) -> tuple[list[tuple[Arrays, Arrays]], Assessment | None]:
        """Return `intervals` at all levels and `assess`, from one shape; see `Calibrated.answer`."""
        shape = self.spread.shape(inputs, prediction)
        return self._around(shape, self._own(inputs), range(len(self.levels)), scope), shape.assessment

    def meaning(self, scope: Scope) -> str:
        """Return what a level is of, with the times where they count; see `Calibrated.meaning`."""
        return f"{super().meaning(scope)} {self.spread.of_times(together=scope == 'fields')}".rstrip()

    def _own(self, inputs: Mapping[str, np.ndarray]) -> _Own | None:
        """Return the factors of each of some samples, where they have factors of their own."""
        if self.reweighted is None or self.weights is None:
            return None
        weights = self.weights.of(self.reweighted.features.of(inputs))
        return _Own(self.reweighted.points(self.levels, weights), self.reweighted.fields(self.levels, weights))

    def _around(
        self, shape: Shape, own: _Own | None, places: Sequence[int], scope: Scope
    ) -> list[tuple[Arrays, Arrays]]:
        """Return the ends of the bands at the levels of some places."""
        found = []
        for index in places:
            half = {name: self._half(shape, own, name, index, scope) for name in self.outputs}
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

    def beside(self, model: Model, problem: Problem | None = None) -> Self:
        """Return them with the model, and the problem, at hand; see `Calibrated.beside`."""
        return self.model_copy(update={"spread": self.spread.beside(model, problem)})

    def made(self) -> str:
        """Return what the spread and the weights say; see `Calibrated.made`."""
        return " ".join(filter(None, (self.spread.made(), "" if self.weights is None else self.weights.made())))

    def look(self, test: Predicted, dimensions: Dimensions | None = None) -> Measured:
        """Look at some samples that nothing has seen; see `Calibrated.look`.

        Also where they are in the bands around whole fields, and in those that are equally wide everywhere.
        """
        shape, own = self.spread.shape(test.inputs, test.prediction), self._own(test.inputs)
        ends = self._around(shape, own, range(len(self.levels)), "points")
        estimate = shape.width if shape.estimate is None else shape.estimate
        found = look(test, ends, self.levels, dimensions, estimate)
        for name, factors in self.outputs.items():
            error = test.error(name)
            inside = [(error <= constant).reshape(len(test), -1).mean(axis=1) for constant in factors.constants]
            found |= Measured(
                {f"{name}|constant": np.stack(inside, axis=1)}, tallies={f"{name}|error": Tally.of(error)}
            )
        if self.fields is None:
            return found
        widths = {
            f"{name}|fields": np.stack(
                [self._width_of_fields(shape, own, name, index) for index in range(len(self.levels))], axis=1
            )
            for name in self.outputs
        }
        scores = {name: shape.scores(test.truth, name) for name in self.outputs}
        worst = largest(self.spread, scores, len(test))
        limits = np.array([self.fields]) if own is None else own.fields
        return found | Measured({WHOLE: worst[:, None] <= limits, **widths})

    def covered(self, measured: Measured) -> tuple[Coverage, ...]:
        """Return the coverage at every level; see `Calibrated.covered`.

        More figures: ``constant_measured`` and ``constant_width``, both of the constant band, and
        ``constant_width_at_equal_coverage``, the width of a constant band that covers the share ``measured`` of these
        very points. Averages over the outputs where there are several; a whole field is inside if all of them are.
        """
        known = None if self.weights is not None else self.samples
        expected = [None if known is None else promised(level, known) for level in self.levels]
        return tuple(
            replace(found, fields=self._whole(measured, index), more={**found.more, **self._constant(measured, index)})
            for index, found in enumerate(covered(measured, list(self.outputs), self.levels, expected))
        )

    def _constant(self, measured: Measured, index: int) -> dict[str, float]:
        """Return what bands were worth that are equally wide everywhere, at one level."""
        rows = [
            {
                "constant_measured": float(measured.rows[f"{name}|constant"][:, index].mean()),
                "constant_width": 2 * factors.constants[index],
                "constant_width_at_equal_coverage": 2
                * measured.tallies[f"{name}|error"].quantile(measured.rows[f"{name}|inside"][:, index].mean()),
            }
            for name, factors in self.outputs.items()
        ]
        return {key: float(np.mean([row[key] for row in rows])) for key in rows[0]}

    def _whole(self, measured: Measured, index: int) -> WholeFields | None:
        """Return what the bands around whole fields were worth, at one level."""
        if self.fields is None:
            return None
        inside = measured.rows[WHOLE][:, index]
        widths = [mean_over(measured.rows[f"{name}|fields"][:, index]) for name in self.outputs]
        return WholeFields(int(inside.sum()), len(inside), float(np.mean(widths)))

    def _width_of_fields(self, shape: Shape, own: _Own | None, name: str, index: int) -> np.ndarray:
        """Return the mean width of each sample's band around the whole field, NaN where it has no bound."""
        half = self._half(shape, own, name, index, "fields")
        return 2 * means(half)

    def _half(self, shape: Shape, own: _Own | None, name: str, index: int, scope: Scope) -> np.ndarray:
        """Return the half width of the band of one output, ``(n, *dims)`` float64; NaN at points that are not held."""
        width = shape.width[name]
        if scope == "points":
            return self._factors(own, name, index, width.shape[1:]) * width
        if self.fields is None:
            raise ValueError("scope is 'fields', but these bands were calibrated for points alone")
        factors = np.array(self.fields[index]) if own is None else own.fields[:, index]
        found: np.ndarray = factors.reshape(-1, *(1,) * (width.ndim - 1)) * width
        held = self.spread.held(name, width.shape[1:])
        return found if held is None else np.where(held, found, np.nan)

    def _factors(self, own: _Own | None, name: str, index: int, shape: tuple[int, ...]) -> np.ndarray:
        """Return the factors of the points of one output, ``(1 or n, *shape)`` or what repeats to it."""
        factors = np.array([self.outputs[name].points[index]]) if own is None else own.points[name][:, index]
        zones = self.spread.zones(name, shape)
        if zones is None:
            return factors[:, 0].reshape(-1, *(1,) * len(shape))
        found: np.ndarray = factors[:, np.minimum(zones, factors.shape[1] - 1)]
        return found

    def _index(self, level: float) -> int:
        """Return the place of a level."""
        for index, known in enumerate(self.levels):
            if abs(known - level) < 1e-9:
                return index
        raise ValueError(f"level is {level}, expected one of the calibrated levels {self.levels}")


def largest(spread: FittedSpread, scores: Mapping[str, np.ndarray], count: int) -> np.ndarray:
    """Return the largest score of each of ``count`` samples, over the points of all outputs that whole fields hold."""
    found = []
    for name, values in scores.items():
        held = spread.held(name, values.shape[1:])
        points = values.reshape(count, -1) if held is None else values[:, held]
        found.append(points.max(axis=1))
    worst: np.ndarray = np.max(found, axis=0)
    return worst
