from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, final

import numpy as np
from pydantic import Field

from ritz.compute.fields.arrays import Array
from ritz.compute.fields.dimensions import Dimensions
from ritz.compute.kind import Kind, in_units

if TYPE_CHECKING:
    import xarray as xr

    from ritz.compute.problems.problem import Problem


@dataclass(frozen=True)
class FieldPlace:
    """What is known of the samples beside the field, and of the points on which it lies.

    Attributes
    ----------
    problem
        On the grid of the field.
    inputs
        ``(n, *dims)`` by name.
    template, dimensions
        Of the problem.
    """

    problem: Problem
    inputs: Mapping[str, Array]
    template: xr.Dataset
    dimensions: Dimensions


class Quantity(Kind, ABC):
    """One number per sample that follows from its fields: what a user wants to know of a population of samples.

    It is the same number on any grid of a problem, up to the error of the grid, and is written for NumPy arrays and
    torch tensors.
    """

    kind: str
    of: str = Field(min_length=1)
    """Name of the output."""
    time: float | None = Field(default=None, json_schema_extra=in_units("units of the problem's time"))
    """Time at which, of a problem in time; the last one where none is given."""

    positional: ClassVar[tuple[str, ...]] = ("of",)
    """Fields in the order in which a command line gives them, as in ``at:u:0.5,0.5``."""

    @property
    def name(self) -> str:
        """What it is called in tables: the kind and its fields, as a command line gives them.

        Examples
        --------
        >>> from ritz.compute.evaluation.quantities.fields import MeanValue, PointValue
        >>> MeanValue(of="u").name, PointValue(of="u", point=(0.5, 0.25), time=1.0).name
        ('mean:u', 'at:u:0.5,0.25@1')
        """
        words = [self.kind]
        for field in self.positional:
            value = getattr(self, field)
            if value is not None:
                words.append(",".join(f"{one:g}" for one in value) if isinstance(value, tuple) else str(value))
        return ":".join(words) + ("" if self.time is None else f"@{self.time:g}")

    @final
    def unfit(self, problem: Problem) -> str:
        """Return why the fields of a problem have no such number, in a few words; empty where they have."""
        template = problem.template(1)
        dimensions = Dimensions.of(template)
        outputs = [name for name in dimensions.variables if name not in dimensions.inputs]
        if self.of not in outputs:
            return f"of is {self.of!r}, expected one of the outputs {outputs}"
        others = dimensions.others(self.of)
        axes = [dim for dim in others if template[dim].attrs.get("axis") == "T"]
        if len(others) > len(axes) or len(axes) > 1:
            return f"the output {self.of!r} has the dimensions {others}, expected space and one of time alone"
        if self.time is not None:
            if not axes:
                return f"time is {self.time:g}, and the output {self.of!r} has none"
            times = template[axes[0]].values
            if _step(times, self.time) is None:
                return f"time is {self.time:g}, expected one of {', '.join(f'{one:g}' for one in times)}"
        return self.unfit_for(problem, dimensions)

    def unfit_for(self, problem: Problem, dimensions: Dimensions) -> str:
        """Return why the output has no such number, in a few words, where it has the dimensions of space and time."""
        del problem, dimensions
        return ""

    @final
    def value(self, problem: Problem, inputs: Mapping[str, Array], fields: Mapping[str, Array]) -> Array:
        """Return the number of every sample.

        Parameters
        ----------
        problem
            On the grid of the fields, which `unfit` finds nothing against.
        inputs, fields
            ``(n, *dims)`` for every input and output, as in the dataset; all NumPy arrays or all tensors.

        Returns
        -------
        values
            ``(n,)`` in the dtype of the fields.
        """
        template = problem.template(1)
        dimensions = Dimensions.of(template)
        field = fields[self.of]
        for axis, dim in enumerate(dimensions.variables[self.of], start=1):
            if template[dim].attrs.get("axis") == "T":
                step = -1 if self.time is None else _step(template[dim].values, self.time)
                field = field[(slice(None),) * axis + (step,)]
        return self.of_field(field, FieldPlace(problem, inputs, template, dimensions))

    @abstractmethod
    def of_field(self, field: Array, place: FieldPlace) -> Array:
        """Return the number of every sample, ``(n,)``, from the output ``(n, *space)`` at the time asked for."""


def _step(times: np.ndarray, time: float) -> int | None:
    """Return the index of a time, None where the problem has no such time."""
    [found] = np.nonzero(np.isclose(times, time, rtol=1e-6, atol=1e-9 * np.abs(times).max()))
    return int(found[0]) if len(found) else None
