"""What the first file says to complete a mapping: how every variable is read, and what it becomes."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from pydantic import ValidationError

from ritz.compute.problems.external import Along, Stored
from ritz.storage.importing.source import Source
from ritz.storage.wording import meant, shown
from ritz.tasks.errors import RecipeError
from ritz.tasks.importing.mapping import Import
from ritz.tasks.importing.variables import Dimension, Patterns, Variable

SAMPLE = "sample"

Made = TypeVar("Made")

_RANKS = {"T": 0, "": 1, "Z": 2, "Y": 3, "X": 4}
"""Order of the dimensions of a stored variable: time, channels, space."""


@dataclass(frozen=True)
class Reading:
    """How a variable is read.

    Attributes
    ----------
    variable
        What is said of it.
    group
        Which of the files of an item has it.
    source
        Array in the file; empty for an attribute.
    dims
        Dimensions of the array in its order, 1 for an axis that is left out.
    sizes
        Points along each of them, 0 for the samples.
    stored
        Dimensions of the dataset's variable after the sample, in its order.
    """

    name: str
    variable: Variable
    group: int
    source: str
    dims: tuple[str | int, ...]
    sizes: tuple[int, ...]
    stored: tuple[str, ...]


@dataclass(frozen=True)
class Resolved:
    """How all variables are read, and the dataset that they make."""

    readings: tuple[Reading, ...]
    along: tuple[Along, ...]
    variables: tuple[Stored, ...]


def groups(mapping: Import) -> tuple[Patterns, ...]:
    """Return the patterns of the files of an item, each once: those of the mapping and of single variables."""
    return tuple(dict.fromkeys(one.files or mapping.files for one in mapping.variables.values()))


def resolved(mapping: Import, files: Sequence[Source]) -> Resolved:
    """Complete a mapping by what its first files say.

    Parameters
    ----------
    files
        Open, one for each of `groups`.

    Raises
    ------
    RecipeError
        If the mapping does not go with the files; the message names field, value and what was expected.
    ritz.storage.errors.StorageError
        If a file has not what the mapping names, or is damaged.
    """
    kinds, axes = groups(mapping), _axes(mapping)
    readings = []
    for name, variable in mapping.variables.items():
        group = kinds.index(variable.files or mapping.files)
        readings.append(_reading(mapping, name, variable, group, files[group], axes))
    parts = _parts(readings)
    used = list(dict.fromkeys(dim for one in readings for dim in one.stored))
    if unused := sorted(set(mapping.dims) - set(used)):
        raise RecipeError(
            f"dims.{unused[0]} is the dimension of no variable, expected one of {used}{meant(unused[0], used)}"
        )
    along = [_along(mapping, dim, readings, parts[dim], files) for dim in used]
    return Resolved(tuple(readings), tuple(along), tuple(_stored(one, files[one.group]) for one in readings))


def _axes(mapping: Import) -> dict[str, str]:
    return {name: one.axis_of(name) for name, one in mapping.dims.items()}


def _axis(axes: Mapping[str, str], dim: str) -> str:
    return axes[dim] if dim in axes else Dimension().axis_of(dim)


def _reading(
    mapping: Import, name: str, variable: Variable, group: int, file: Source, axes: Mapping[str, str]
) -> Reading:
    if variable.divide_by:
        file.number(variable.divide_by)
    if variable.attribute:
        file.number(variable.attribute)
        return Reading(name, variable, group, "", (), (), ())
    place = mapping.layout.place(name, variable, file)
    shape, field = file.shape(place.source), f"variables.{name}.dims"
    if place.dims is None:
        if shape:
            raise RecipeError(
                f"{field} is missing: {file.path} does not name the dimensions of array {place.source!r} of shape "
                f"{shape}, expected a name for each, e.g. [sample, y, x]"
            )
        dims: tuple[str | int, ...] = ()
    else:
        dims = tuple(SAMPLE if dim == mapping.sample else dim for dim in place.dims)
    if len(dims) != len(shape):
        raise RecipeError(
            f"{field} is {list(dims)}, expected {len(shape)} names: array {place.source!r} of {file.path} has the "
            f"shape {shape}"
        )
    names = [dim for dim in dims if dim != 1]
    if len(set(names)) != len(names):
        raise RecipeError(f"{field} is {list(dims)}, expected each name once")
    for dim, size in zip(dims, shape, strict=True):
        if dim == 1 and size != 1:
            raise RecipeError(f"{field} is {list(dims)}: 1 stands for an axis of one point, and it has {size}")
        if size == 0:
            raise RecipeError(f"{field}: {file.path} has 0 points along {dim!r} of {place.source!r}, expected some")
    sizes = dict(zip(dims, shape, strict=True))
    for dim, where in variable.at.items():
        if dim not in names or dim == SAMPLE:
            known = [one for one in names if one != SAMPLE]
            raise RecipeError(f"variables.{name}.at.{dim} is no dimension of {place.source!r}, expected one of {known}")
        first, end = where if isinstance(where, tuple) else (where, where + 1 or sizes[dim])
        span = range(sizes[dim])[first:end]
        if not len(span) or first < -sizes[dim] or end > sizes[dim]:
            raise RecipeError(
                f"variables.{name}.at.{dim} is {shown(list(where) if isinstance(where, tuple) else where)}, "
                f"expected positions among {sizes[dim]} points"
            )
    kept = [str(dim) for dim in names if dim != SAMPLE and not isinstance(variable.at.get(str(dim)), int)]
    if variable.role == "parameter" and kept:
        raise RecipeError(
            f"variables.{name}.role is 'parameter', expected one number per sample: array {place.source!r} has the "
            f"dimensions {kept}; 'input' is a field"
        )
    kept.sort(key=lambda dim: _RANKS[_axis(axes, dim)])
    counts = tuple(0 if dim == SAMPLE else size for dim, size in zip(dims, shape, strict=True))
    return Reading(name, variable, group, place.source, dims, counts, tuple(kept))


def part(reading: Reading, dim: str) -> tuple[int, int, int]:
    """Return from which position to which a variable lies along a dimension of its array, and the points there are."""
    size = reading.sizes[reading.dims.index(dim)]
    where = reading.variable.at.get(dim)
    span = range(size)[slice(*where)] if isinstance(where, tuple) else range(size)
    return span.start, span.stop, size


def _parts(readings: Sequence[Reading]) -> dict[str, tuple[int, int, int]]:
    """Return the part of every dimension, which is the same for all variables."""
    found: dict[str, tuple[str, tuple[int, int, int]]] = {}
    for one in readings:
        for dim in one.stored:
            before, own = found.setdefault(dim, (one.name, part(one, dim)))
            if found[dim][1] != part(one, dim):
                first, end, size = part(one, dim)
                raise RecipeError(
                    f"variables.{one.name} has the points {first} to {end - 1} of {size} along {dim!r}, expected those "
                    f"of variables.{before}: {own[0]} to {own[1] - 1} of {own[2]}"
                )
    return {dim: own for dim, (_, own) in found.items()}


def _along(
    mapping: Import, dim: str, readings: Sequence[Reading], span: tuple[int, int, int], files: Sequence[Source]
) -> Along:
    file = files[next(one.group for one in readings if dim in one.stored)]
    said = mapping.layout.coordinates(mapping.dims, dim, file)
    first, end, size = span
    axis, units, long_name = said.axis_of(dim), said.units, said.long_name
    if said.source:
        points = file.read(said.source).astype(np.float64)
        attrs = file.attrs(said.source)
        units = units if units is not None else str(attrs.get("units", "1"))
        long_name = long_name or str(attrs.get("long_name", ""))
        where = f"dims.{dim}.from: array {said.source!r} of {file.path}"
    elif said.values:
        points, where = np.array(said.values), f"dims.{dim}.values"
    elif said.first is not None and said.last is not None:
        points, where = np.linspace(said.first, said.last, size), f"dims.{dim}"
    else:
        about = {"name": dim, "count": end - first, "axis": axis, "long_name": long_name, "units": units or "1"}
        return _made(f"dims.{dim}", lambda: Along.model_validate(about))
    if points.shape != (size,) or not np.isfinite(points).all():
        raise RecipeError(f"{where} has the shape {points.shape}, expected {size} finite numbers, one a point")
    steps = np.diff(points)
    if not (np.all(steps > 0) or np.all(steps < 0)):
        raise RecipeError(f"{where} neither rises nor falls throughout, expected coordinates in order")
    return _made(f"dims.{dim}", lambda: Along.at(dim, points[first:end], axis, units or "1", long_name))


def _stored(reading: Reading, file: Source) -> Stored:
    variable, attrs = reading.variable, file.attrs(reading.source) if reading.source else {}
    units = variable.units if variable.units is not None else str(attrs.get("units", "1")) or "1"
    return _made(
        f"variables.{reading.name}",
        lambda: Stored(
            name=reading.name,
            role="output" if variable.role == "output" else "input",
            dims=reading.stored,
            transform=variable.transform,
            units=units,
            long_name=variable.long_name or str(attrs.get("long_name", ""))[:1000] or reading.name,
        ),
    )


def _made(field: str, make: Callable[[], Made]) -> Made:
    """Return what is made of a field's parts, or say in a line which of them it cannot be made of."""
    try:
        return make()
    except ValidationError as error:
        said = error.errors()[0]
        place = ".".join(map(str, said["loc"]))
        raise RecipeError(f"{field}: {place} is {shown(said['input'])}: {said['msg']}") from error
