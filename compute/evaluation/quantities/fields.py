"""Numbers that follow from an output alone."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal

import numpy as np
from pydantic import Field

from ritz.compute.evaluation.quantities.quantity import FieldPlace, Quantity
from ritz.compute.evaluation.quantities.weights import cells, corners, integration, interpolation
from ritz.compute.fields.arrays import Array, like, namespace
from ritz.compute.fields.dimensions import Dimensions
from ritz.compute.kind import in_units

if TYPE_CHECKING:
    from ritz.compute.problems.problem import Problem

_LENGTH = in_units("units of the problem's space")


class MeanValue(Quantity):
    """The mean of the field over the domain: by cells of a box, by the areas around the nodes of a mesh."""

    kind: Literal["mean"] = "mean"

    def unfit_for(self, problem: Problem, dimensions: Dimensions) -> str:
        """Refuse uneven spacing; see `Quantity.unfit_for`."""
        del problem
        return cells(dimensions)

    def of_field(self, field: Array, place: FieldPlace) -> Array:
        """Return the mean of every sample; see `Quantity.of_field`."""
        weights = integration(place.template)
        return _weighted(field, weights / weights.sum())


class Largest(Quantity):
    """The largest value of the field at a point of the grid."""

    kind: Literal["max"] = "max"

    def of_field(self, field: Array, place: FieldPlace) -> Array:
        """Return the largest value of every sample; see `Quantity.of_field`."""
        del place
        return namespace(field).amax(field.reshape(len(field), -1), 1)


class Norm(Quantity):
    """The L2 norm of the field over the domain, the root of ∫ u²."""

    kind: Literal["norm"] = "norm"

    def unfit_for(self, problem: Problem, dimensions: Dimensions) -> str:
        """Refuse uneven spacing; see `Quantity.unfit_for`."""
        del problem
        return cells(dimensions)

    def of_field(self, field: Array, place: FieldPlace) -> Array:
        """Return the norm of every sample; see `Quantity.of_field`."""
        return _weighted(field * field, integration(place.template)) ** 0.5


class PointValue(Quantity):
    """The value at a point, linear between the grid points along every axis; beyond the outermost as between the last.

    ``point`` has a coordinate for each dimension of space, in the order x, y, z.
    """

    kind: Literal["at"] = "at"
    point: tuple[float, ...] = Field(min_length=1, max_length=3, json_schema_extra=_LENGTH)
    """x, y and z, as many as there are."""

    positional: ClassVar[tuple[str, ...]] = ("of", "point")

    def unfit_for(self, problem: Problem, dimensions: Dimensions) -> str:
        """Refuse a mesh and a point outside of the domain; see `Quantity.unfit_for`."""
        if dimensions.mesh:
            return "values at a point are for boxes of cells, and the fields lie on a mesh"
        if len(self.point) != len(dimensions.space):
            return f"point is {self.point}, expected {len(dimensions.space)} coordinates, {_order(dimensions)}"
        box = corners(problem.template(1))
        outside = [
            f"{dim} is {at:g}, expected {low:g} to {high:g}"
            for at, (dim, (low, high)) in zip(self.point, reversed(box.items()), strict=True)
            if not low <= at <= high
        ]
        return f"point lies outside of the domain: {outside[0]}" if outside else ""

    def of_field(self, field: Array, place: FieldPlace) -> Array:
        """Return the value of every sample; see `Quantity.of_field`."""
        return _weighted(field, interpolation(place.template, self.point[::-1]))


class Integral(Quantity):
    """The integral of the field over a box inside the domain: cells count with the part of them that lies in it.

    ``low`` and ``high`` are its corners, a coordinate for each dimension of space in the order x, y, z; the whole
    domain where none is given.
    """

    kind: Literal["integral"] = "integral"
    low: tuple[float, ...] | None = Field(default=None, json_schema_extra=_LENGTH)
    """The corner with the smallest coordinates."""
    high: tuple[float, ...] | None = Field(default=None, json_schema_extra=_LENGTH)
    """The corner with the largest coordinates."""

    positional: ClassVar[tuple[str, ...]] = ("of", "low", "high")

    def unfit_for(self, problem: Problem, dimensions: Dimensions) -> str:
        """Refuse uneven spacing and a box that is none in the domain; see `Quantity.unfit_for`."""
        if reason := cells(dimensions):
            return reason
        if self.low is None and self.high is None:
            return ""
        if dimensions.mesh:
            return "integrals over a part of the domain are for boxes of cells, and the fields lie on a mesh"
        axes = len(dimensions.space)
        for name, corner in (("low", self.low), ("high", self.high)):
            if corner is None or len(corner) != axes:
                return f"{name} is {corner}, expected {axes} coordinates, {_order(dimensions)}"
        assert self.low is not None
        assert self.high is not None
        limits = reversed(corners(problem.template(1)).items())
        for low, high, (dim, (least, most)) in zip(self.low, self.high, limits, strict=True):
            if not least <= low < high <= most:
                return f"low and high are {low:g} and {high:g} along {dim}, expected {least:g} ≤ low < high ≤ {most:g}"
        return ""

    def of_field(self, field: Array, place: FieldPlace) -> Array:
        """Return the integral of every sample; see `Quantity.of_field`."""
        part = None if self.low is None or self.high is None else (self.low[::-1], self.high[::-1])
        return _weighted(field, integration(place.template, part))


def _weighted(field: Array, weights: np.ndarray) -> Array:
    """Return the sums of a field with weights, ``(n,)``."""
    return field.reshape(len(field), -1) @ like(weights.reshape(-1), field)


def _order(dimensions: Dimensions) -> str:
    return ", ".join(reversed(dimensions.space))
