from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from pydantic import Field, SerializerFunctionWrapHandler, model_serializer

from ritz.compute.kind import Kind

if TYPE_CHECKING:
    import xarray as xr

TIME = "time"
"""Name of the dimension of time."""

NODE = "node"
"""Name of the dimension of the nodes of an unstructured mesh."""

INITIAL_STATE = "initial_state"
"""Attribute of an output in time: the input that holds its state at time zero."""

_AXES = ("Z", "Y", "X")


class Dimensions(Kind):
    """What the dimensions of a problem's variables mean to everything behind the solver.

    Space are the dimensions whose coordinate has the attribute ``axis`` ``"X"``, ``"Y"`` or ``"Z"``, those named
    ``x``, ``y`` and ``z`` whose coordinate says nothing of an axis, and ``node``, the nodes of a mesh, which goes with
    no other. All other dimensions of a variable, such as time or component, make channels. Every output lies on all
    of space; an input may lack some of it, a number per sample or values along one wall, and is then repeated.
    """

    space: tuple[str, ...]
    """Dimensions of space in the order z, y, x."""
    sizes: dict[str, int]
    """Points along every dimension."""
    variables: dict[str, tuple[str, ...]]
    """Dimensions of every variable, after the sample, in the order of the template."""
    inputs: tuple[str, ...]
    """The variables that are inputs."""
    lengths: tuple[float, ...] | None = None
    """Extent of the box along each dimension of space, the spacing times the points; 1 where there are no
    coordinates. None on a mesh, or where the spacing is uneven: no derivatives are taken there."""
    times: tuple[float, ...] = ()
    """Times of the states that the outputs hold, along their dimension of time; empty where they have none."""
    starts: dict[str, str] = Field(default_factory=dict)
    """By output the input that holds its state at time zero, where the template says so."""

    @model_serializer(mode="wrap")
    def _without_defaults(self, serialize: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Leave times out where there are none: files of models that were written before stay as they are."""
        found: dict[str, Any] = serialize(self)
        return {name: value for name, value in found.items() if value or name not in ("times", "starts")}

    @classmethod
    def of(cls, template: xr.Dataset) -> Dimensions:
        """Read the dimensions from a template, or from a dataset with its coordinates; see `Problem.template`.

        Raises
        ------
        ValueError
            If there is no space or too much of it, or an output does not lie on all of it.
        """
        found = {str(name): array for name, array in template.data_vars.items() if "role" in array.attrs}
        variables = {name: tuple(str(dim) for dim in array.dims if dim != "sample") for name, array in found.items()}
        axes = {dim: _axis(template, dim) for dims in variables.values() for dim in dims}
        space = tuple(sorted((dim for dim, axis in axes.items() if axis), key=lambda dim: _rank(axes[dim])))
        if len({axes[dim] for dim in space}) != len(space) or (NODE in space and len(space) > 1) or not space:
            raise ValueError(
                f"variables have the dimensions {variables}, and the dimensions of space are {space}: expected one to "
                f"three, told by coordinates with the attribute axis X, Y or Z or by the names x, y and z, or {NODE!r} "
                "alone"
            )
        for name, array in found.items():
            missing = [dim for dim in space if dim not in variables[name]]
            if array.attrs["role"] == "output" and missing:
                raise ValueError(
                    f"output {name!r} has the dimensions {variables[name]}, expected {missing} among them: an output "
                    "lies on all of space"
                )
        sizes = {dim: int(template.sizes[dim]) for dim in axes}
        inputs = tuple(name for name, array in found.items() if array.attrs["role"] == "input")
        starts = {
            name: str(array.attrs[INITIAL_STATE]) for name, array in found.items() if INITIAL_STATE in array.attrs
        }
        return cls(
            space=space,
            sizes=sizes,
            variables=variables,
            inputs=inputs,
            lengths=_lengths(template, space),
            times=_times(template, variables, inputs) if starts else (),
            starts=starts,
        )

    @property
    def mesh(self) -> bool:
        """Whether the points are the nodes of an unstructured mesh."""
        return self.space == (NODE,)

    @property
    def numbers(self) -> tuple[str, ...]:
        """The inputs that are one number of each sample, such as a parameter of the equation."""
        return tuple(name for name in self.inputs if not self.variables[name])

    @property
    def shape(self) -> tuple[int, ...]:
        """Points along each dimension of space."""
        return tuple(self.sizes[dim] for dim in self.space)

    def at(self, times: Sequence[float]) -> Dimensions:
        """Return the dimensions of the same variables with states at other times.

        Raises
        ------
        ValueError
            If the outputs have no times.
        """
        if not self.times:
            raise ValueError("the outputs have no times; expected those of a problem in time")
        return self.model_copy(
            update={"sizes": {**self.sizes, TIME: len(times)}, "times": tuple(float(time) for time in times)}
        )

    def ordered(self, names: Sequence[str]) -> Dimensions:
        """Return the same dimensions with the variables in the order of ``names``, and those it lacks after them."""
        variables = {name: self.variables[name] for name in names if name in self.variables} | self.variables
        starts = {name: self.starts[name] for name in variables if name in self.starts}
        return self.model_copy(update={"variables": variables, "starts": starts})

    def others(self, name: str) -> tuple[str, ...]:
        """Return the dimensions of a variable that are not of space, in its order."""
        return tuple(dim for dim in self.variables[name] if dim not in self.space)

    def channels(self, name: str) -> int:
        """Return the number of channels that a variable makes."""
        return int(np.prod([self.sizes[dim] for dim in self.others(name)], dtype=int))

    def along(self, name: str) -> tuple[bool, ...]:
        """Return whether a variable lies along each dimension of space."""
        return tuple(dim in self.variables[name] for dim in self.space)

    def grid(self, fields: Mapping[str, np.ndarray]) -> tuple[int, ...]:
        """Return the points along each dimension of space on which fields lie.

        Parameters
        ----------
        fields
            ``(n, *dims)`` each. Where no field lies along a dimension it has as many points as in the template.

        Raises
        ------
        ValueError
            If a field has other dimensions, or the fields do not lie on one grid.
        """
        found: dict[str, dict[str, int]] = {dim: {} for dim in self.space}
        counts = {name: len(values) for name, values in fields.items()}
        for name, values in fields.items():
            dims = self.variables[name]
            given = dict(zip(dims, values.shape[1:], strict=False))
            wrong = [dim for dim in self.others(name) if given.get(dim) != self.sizes[dim]]
            if values.ndim != 1 + len(dims) or wrong:
                expected = ", ".join(f"{dim}: {self.sizes[dim]}" if dim in wrong else dim for dim in dims)
                raise ValueError(f"variable {name!r} has the shape {values.shape}, expected (sample, {expected})")
            for dim in self.space:
                if dim in given:
                    found[dim][name] = given[dim]
        for dim, points in {"sample": counts, **found}.items():
            if len(set(points.values())) > 1:
                raise ValueError(f"variables have different numbers of points along {dim!r}: {points}")
        return tuple(next(iter(found[dim].values()), self.sizes[dim]) for dim in self.space)

    def stack(self, name: str, values: np.ndarray) -> np.ndarray:
        """Return a variable as channels over space.

        Parameters
        ----------
        values
            ``(n, *dims)``.

        Returns
        -------
        numpy.ndarray
            ``(n, channel, *space)``; one point along a dimension of space that the variable lacks.
        """
        dims = self.variables[name]
        order = [*self.others(name), *(dim for dim in self.space if dim in dims)]
        moved = values.transpose(0, *(1 + dims.index(dim) for dim in order))
        points = iter(moved.shape[1 + len(self.others(name)) :])
        space = tuple(next(points) if there else 1 for there in self.along(name))
        return moved.reshape(len(values), self.channels(name), *space)

    def unstack(self, name: str, channels: np.ndarray) -> np.ndarray:
        """Undo `stack` for a variable that lies on all of space; returns ``(n, *dims)``."""
        dims, others = self.variables[name], self.others(name)
        shape = (len(channels), *(self.sizes[dim] for dim in others), *channels.shape[2:])
        order = (*others, *self.space)
        return channels.reshape(shape).transpose(0, *(1 + order.index(dim) for dim in dims))


def _axis(template: xr.Dataset, dim: str) -> str:
    """Return ``"X"``, ``"Y"``, ``"Z"`` or ``"node"`` for a dimension of space, empty for another."""
    if dim == NODE:
        return NODE
    said = str(template[dim].attrs.get("axis", "")) if dim in template.coords else ""
    axis = said or dim.upper() if dim in ("x", "y", "z") else said
    return axis if axis in _AXES else ""


def _times(
    template: xr.Dataset, variables: Mapping[str, tuple[str, ...]], inputs: tuple[str, ...]
) -> tuple[float, ...]:
    """Return the times along the dimension of time; none where an output has none, or where they are not told."""
    outputs = [dims for name, dims in variables.items() if name not in inputs]
    if TIME not in template.coords or not all(TIME in dims for dims in outputs):
        return ()
    return tuple(float(time) for time in template[TIME].values)


def _rank(axis: str) -> int:
    return (*_AXES, NODE).index(axis)


def _lengths(template: xr.Dataset, space: Iterable[str]) -> tuple[float, ...] | None:
    """Return the lengths of the box, None where differences would mean nothing."""
    lengths = []
    for dim in space:
        if dim == NODE:
            return None
        points = template[dim].values.astype(np.float64) if dim in template.coords else np.empty(0)
        steps = np.diff(points)
        if len(steps) == 0:
            lengths.append(1.0)
            continue
        # Coordinates are rounded: in float32 neighbours on a fine grid differ by a thousandth of their distance.
        if not np.allclose(steps, steps.mean(), rtol=1e-2, atol=0):
            return None
        # Twelve digits, so that rounding leaves a box of length 1 what it is.
        lengths.append(float(f"{abs(points[-1] - points[0]) / len(steps) * len(points):.12g}"))
    return tuple(lengths)
