"""Parameters that are one number for all samples, or a number of each."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from pydantic import GetCoreSchemaHandler, ValidationError
from pydantic_core import CoreSchema, core_schema

from ritz.compute.fields.arrays import Array, double
from ritz.compute.kind import Fault, Kind
from ritz.compute.problems.gaussian import generator
from ritz.compute.problems.problem import Arrays, Problem
from ritz.compute.problems.spectrum import FEATURES

_STREAM = 1000
"""The first stream of a sample that is of a parameter; those below are of its fields."""


class Range(Kind):
    """A parameter that is a number of each sample: an input, uniform between two ends, or uniform in its logarithm."""

    low: float
    """Smallest value."""
    high: float
    """Largest value."""
    log: bool = False
    """Whether the logarithm of the parameter is uniform, and what a surrogate sees."""

    def faults(self) -> Iterator[Fault]:
        """Yield the faults of the two ends; see `Kind.faults`."""
        if self.low >= self.high:
            yield Fault(("low", "high"), f"low is {self.low:g} and high is {self.high:g}, expected low < high")
        if self.log and self.low <= 0:
            yield Fault(("low",), f"low is {self.low:g}, expected a positive number: the logarithm is uniform")

    def at(self, uniform: np.ndarray) -> np.ndarray:
        """Return the values at given values of the distribution function, float64.

        Examples
        --------
        >>> Range(low=1, high=100, log=True).at(np.array([0, 0.5, 1]))
        array([  1.,  10., 100.])
        """
        if self.log:
            found: np.ndarray = self.low * (self.high / self.low) ** uniform
            return found
        return self.low + (self.high - self.low) * uniform

    def place(self, values: np.ndarray) -> np.ndarray:
        """Return the values of the distribution function at values, float64; it undoes `at`."""
        if self.log:
            found: np.ndarray = np.log(values / self.low) / np.log(self.high / self.low)
            return found
        return (values - self.low) / (self.high - self.low)


@dataclass(frozen=True)
class Limits:
    """Annotation of a field of a problem that is a number within limits, or a `Range` within them.

    Use as ``viscosity: Annotated[float | Range, Limits(gt=0, le=1000)] = 0.01``.

    Attributes
    ----------
    gt, ge, lt, le
        As those of a number in pydantic; they hold for both ends of a range.
    """

    gt: float | None = None
    ge: float | None = None
    lt: float | None = None
    le: float | None = None

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        """Build the schema: a range by its fields, anything else as a number."""

        def number_or_range(value: Any, number: core_schema.ValidatorFunctionWrapHandler) -> float | Range:
            if not isinstance(value, Mapping | Range):
                found: float = number(value)
                return found
            try:
                given = value if isinstance(value, Range) else Range.model_validate(dict(value))
            except ValidationError as error:
                said = "; ".join(
                    f"{'.'.join(map(str, one['loc']))}: {one['msg']}".lstrip(": ") for one in error.errors()
                )
                raise ValueError(f"{said} (expected a number, or a range: low, high, log)") from error
            for name in ("low", "high"):
                try:
                    number(getattr(given, name))
                except ValidationError as error:
                    raise ValueError(f"{name} is {getattr(given, name):g}: {error.errors()[0]['msg']}") from error
            return given

        return core_schema.no_info_wrap_validator_function(
            number_or_range,
            core_schema.float_schema(gt=self.gt, ge=self.ge, lt=self.lt, le=self.le),
            serialization=core_schema.plain_serializer_function_ser_schema(
                lambda value: value.model_dump(mode="json") if isinstance(value, Range) else value
            ),
        )


class Ranged(Problem):
    """A problem with parameters that may be ranges: each is an input then, ``(sample,)``, of the field's name."""

    @property
    def ranges(self) -> dict[str, Range]:
        """The parameters that are ranges, in the order of the fields."""
        given = ((name, getattr(self, name)) for name in type(self).model_fields)
        return {name: value for name, value in given if isinstance(value, Range)}

    def range_variables(self, n: int) -> dict[str, tuple[tuple[str, ...], np.ndarray, dict[str, str]]]:
        """Return the variables of a template that are parameters, by name."""
        nothing = np.broadcast_to(np.float32(np.nan), (n,))
        return {
            name: (
                ("sample",),
                nothing,
                {
                    "role": "input",
                    "transform": "log" if one.log else "identity",
                    "units": "1",
                    "long_name": name.replace("_", " "),
                },
            )
            for name, one in self.ranges.items()
        }

    def draw_ranges(self, seed: int, ids: np.ndarray, given: np.ndarray | None = None) -> Arrays:
        """Draw the parameters that are ranges, ``(n,)`` float32 each.

        Parameters
        ----------
        seed, ids
            As in `Problem.draw`.
        given
            ``(n, k)`` values of the distribution functions of the first k of them; see `Problem.draw_at`.
        """
        drawn: Arrays = {}
        for place, (name, one) in enumerate(self.ranges.items()):
            if given is not None and place < given.shape[1]:
                uniform = given[:, place]
            else:
                uniform = np.array([generator(seed, sample, _STREAM + place).random() for sample in ids])
            drawn[name] = one.at(uniform.reshape(-1)).astype(np.float32)
        return drawn

    def number(self, name: str, inputs: Mapping[str, Array], axes: int) -> Array | float:
        """Return a parameter: a number, or ``(n, 1, …)`` with so many axes after that of the sample.

        In float64 where it is a NumPy array, in the precision of the input where it is a tensor.
        """
        value = getattr(self, name)
        if not isinstance(value, Range):
            return float(value)
        found = inputs[name]
        wide = double(found) if isinstance(found, np.ndarray) else found
        return wide.reshape(-1, *(1,) * axes)

    def with_ranges(self, features: np.ndarray, inputs: Mapping[str, np.ndarray]) -> np.ndarray:
        """Return features with the parameters that are ranges in front, from 0 to 1 each; see `Problem.features`.

        Parameters
        ----------
        features
            ``(n, d)`` float32 of the fields, the most telling first.
        inputs
            ``(n, *dims)`` for every input.

        Returns
        -------
        features
            ``(n, min(16, d + parameters))`` float32.
        """
        columns = [one.place(inputs[name].astype(np.float64)) for name, one in self.ranges.items()]
        parameters = np.stack(columns, axis=1) if columns else np.empty((len(features), 0))
        return np.concatenate([parameters.astype(np.float32), features], axis=1)[:, :FEATURES]
