"""The inputs of a prediction: from a file of a user's to the arrays that a model is given."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import xarray as xr

from ritz.compute.fields.dimensions import NODE
from ritz.compute.fields.grids import same_box, same_points
from ritz.storage.files import read_file
from ritz.storage.wording import cut, shown
from ritz.tasks.documents.card import Card, Variable
from ritz.tasks.errors import InputError

SAMPLE = "sample"


@dataclass(frozen=True)
class Interface:
    """What a model takes.

    Attributes
    ----------
    variables
        The inputs, as in the model's card.
    sizes
        Points along every dimension.
    space
        The dimensions of space.
    grid
        The coordinates of the model's fields.
    any_grid
        Whether the surrogate works on other grids than the one it was trained on.
    """

    variables: Mapping[str, Variable]
    sizes: Mapping[str, int]
    space: tuple[str, ...]
    grid: xr.Dataset
    any_grid: bool

    @classmethod
    def of(cls, card: Card, grid: xr.Dataset) -> Interface:
        """Read it from a model's card."""
        return cls(card.inputs, card.sizes, card.space, grid, card.training.any_grid)


@dataclass(frozen=True)
class Inputs:
    """Inputs as a model takes them.

    Attributes
    ----------
    values
        ``(n, *dims)`` for every input, in the model's dtypes and order.
    sample
        What the file calls the dimension of the samples.
    labels
        The coordinates along it.
    turned
        Dimensions along which the file runs the other way.
    other
        Points along the dimensions of which the file has another number than the model.
    places
        The file's coordinates along these, where it has them.
    remarks
        What the user should know, a line each.
    """

    values: dict[str, np.ndarray]
    sample: str
    labels: dict[str, xr.Variable]
    turned: tuple[str, ...]
    other: dict[str, int]
    places: dict[str, xr.Variable]
    remarks: tuple[str, ...]

    def __len__(self) -> int:
        return len(next(iter(self.values.values())))


def read_inputs(source: Path, takes: Interface, sample_dim: str | None = None) -> Inputs:
    """Read the inputs of a model from a file and check them.

    The order of dimensions and the direction of coordinates do not matter, dimensions of one point that the model does
    not know are left out, and an input without samples is the same for all.

    Parameters
    ----------
    sample_dim
        Name of the dimension of the samples in the file; ``"sample"`` by default, which may be absent.

    Raises
    ------
    InputError
        If a variable is missing, has other dimensions, lies on a grid on which the model does not work, or holds values
        that are not finite, do not fit in the model's dtype, or have no logarithm where one is taken.
    ritz.storage.errors.StorageError
        If the file cannot be read.
    """
    file = read_file(source, tuple(takes.variables))
    sample = sample_dim or SAMPLE
    if sample_dim is not None and not any(sample_dim in variable.dims for variable in file.data_vars.values()):
        there = (
            cut(", ".join(sorted({str(dim) for one in file.data_vars.values() for dim in one.dims})), 1000) or "none"
        )
        raise InputError(
            f"{source}: no input has the dimension {shown(sample_dim)} of --sample-dim; there are: {there}"
        )
    shaped = {name: _shaped(file, name, entry, sample, source) for name, entry in takes.variables.items()}
    reading = _Reading(source, takes, file)
    for name, variable in shaped.items():
        reading.place(name, variable)
    n = file.sizes.get(sample, 1)
    if n == 0:
        raise InputError(f"{source}: has no samples, its dimension {sample!r} has the length 0; expected at least one")
    values = {}
    for name, variable in shaped.items():
        turned = variable.isel({dim: slice(None, None, -1) for dim in reading.turned if dim in variable.dims})
        checked = _checked(turned, takes.variables[name], f"{source}, variable {name!r}")
        values[name] = np.broadcast_to(checked, (n, *checked.shape[1:]))
    labels = {
        str(name): _native(one.variable)
        for name, one in file.coords.items()
        if one.dims == (sample,) and one.dtype.kind in "biufSUO"
    }
    found = reading
    return Inputs(values, sample, labels, tuple(sorted(found.turned)), found.other, found.places, tuple(found.remarks))


def _shaped(file: xr.Dataset, name: str, entry: Variable, sample: str, source: Path) -> xr.DataArray:
    """Return a variable with the samples, one if it has none, and the model's dimensions in the model's order."""
    where = f"{source}, variable {name!r}"
    if name not in file:
        raise InputError(f"{where}: missing; expected the inputs of the model, the file has {_there(file)}")
    variable, dims = file[name], entry.dims
    if variable.dtype.kind not in "iuf":
        raise InputError(f"{where}: has dtype {variable.dtype}; expected real numbers")
    extra = [dim for dim in variable.dims if dim not in (sample, *dims)]
    variable = variable.squeeze([dim for dim in extra if variable.sizes[dim] == 1], drop=True)
    if sample not in variable.dims:
        variable = variable.expand_dims(sample)
    if set(variable.dims) != {sample, *dims}:
        expected = ", ".join(map(repr, (sample, *dims)))
        more = [dim for dim in variable.dims if dim not in (sample, *dims)]
        lone = len(more) == 1 and set(variable.dims) - set(more) == {sample, *dims} and sample not in file[name].dims
        hint = f"; if {shown(more[0])} counts the samples, say --sample-dim {cut(str(more[0]))}" if lone else ""
        raise InputError(f"{where}: has dimensions {shown(file[name].dims)}; expected ({expected}){hint}")
    return variable.transpose(sample, *dims)


def _there(file: xr.Dataset) -> str:
    """Return what a file has, in words."""
    return cut(", ".join(map(repr, file.encoding["variables"])), 1000) or "none"


class _Reading:
    """Where the variables of a file lie, against the grid of a model."""

    def __init__(self, source: Path, takes: Interface, file: xr.Dataset) -> None:
        self.source, self.takes, self.file = source, takes, file
        self.turned: set[str] = set()
        self.other: dict[str, int] = {}
        self.places: dict[str, xr.Variable] = {}
        self.remarks: list[str] = []

    def place(self, name: str, variable: xr.DataArray) -> None:
        """Take in where one variable lies."""
        where = f"{self.source}, variable {name!r}"
        units, ours = str(variable.attrs.get("units", "")), str(self.takes.variables[name].attrs.get("units", ""))
        if units and ours and units != ours:
            self.remarks.append(
                f"{where}: has the units {shown(units)}, the model's are {ours!r}; nothing is converted"
            )
        for dim in self.takes.variables[name].dims:
            if variable.sizes[dim] == self.takes.sizes[dim]:
                self._same(where, dim, variable)
            else:
                self._other(where, dim, variable)
        for coordinate, one in self.takes.grid.coords.items():
            # The nodes of a mesh have places that are not their numbers.
            if one.dims != (coordinate,) and coordinate in variable.coords and variable[coordinate].dims == one.dims:
                theirs = variable[coordinate].values
                if one.dtype.kind in "iuf" and not (theirs.dtype.kind in "iuf" and same_points(theirs, one.values)):
                    raise InputError(f"{where}: its coordinate {coordinate!r} is not that of the dataset's mesh")

    def _same(self, where: str, dim: str, variable: xr.DataArray) -> None:
        if dim not in variable.coords or dim not in self.takes.grid.coords:
            return
        theirs, ours = variable[dim].values, self.takes.grid[dim].values
        if theirs.dtype.kind in "iuf" and same_points(theirs, ours):
            return
        if theirs.dtype.kind in "iuf" and same_points(theirs[::-1], ours):
            self.turned.add(dim)
            return
        raise InputError(
            f"{where}: its points along {dim!r} {_range(theirs)}; expected {_ends(ours)}, as in the dataset"
        )

    def _other(self, where: str, dim: str, variable: xr.DataArray) -> None:
        """Take in a dimension whose number of points is not that of the model, or refuse it."""
        has, takes = variable.sizes[dim], self.takes
        known = takes.grid[dim].values if dim in takes.grid.coords else None
        base = f"{where}: has {has} points along {dim!r}; the model is for {takes.sizes[dim]}"
        if dim not in takes.space or dim == NODE:
            raise InputError(base)
        if not takes.any_grid:
            raise InputError(f"{base} alone: its surrogate works on the grid that it was trained on")
        self.other[dim] = has
        if dim not in variable.coords or known is None:
            return
        theirs = variable[dim].values
        numbers = theirs.dtype.kind in "iuf" and len(theirs) > 1
        self.places[dim] = variable[dim].variable
        if numbers and same_box(theirs[::-1], known):
            self.turned.add(dim)
        elif not (numbers and same_box(theirs, known)):
            raise InputError(
                f"{where}: its {has} points along {dim!r} {_range(theirs)}; expected an even grid of the box in which "
                f"the dataset's {takes.sizes[dim]} points lie, {_ends(known)}"
            )


def _range(points: np.ndarray) -> str:
    return f"run from {_ends(points)}" if points.dtype.kind in "iuf" and len(points) else f"are {points.dtype}"


def _ends(points: np.ndarray) -> str:
    return f"{points[0]:g} to {points[-1]:g}"


def _checked(variable: xr.DataArray, entry: Variable, where: str) -> np.ndarray:
    """Return the values in the model's dtype, if all that they are survives that."""
    given = variable.values
    bad = ~np.isfinite(given)
    if bad.any():
        rows = np.flatnonzero(bad.reshape(len(given), -1).any(axis=1))
        listed = ", ".join(map(str, rows[:5].tolist())) + (", …" if len(rows) > 5 else "")
        raise InputError(
            f"{where}: holds NaN or infinite values or fill values ({np.count_nonzero(bad)} of {bad.size}, in samples "
            f"{listed}); expected finite ones"
        )
    dtype = np.dtype(entry.dtype)
    limits = np.finfo(dtype)
    if given.size and np.abs(given.astype(np.float64)).max() > limits.max:
        worst = given.flat[int(np.argmax(np.abs(given.astype(np.float64))))]
        raise InputError(
            f"{where}: holds {worst:g}, which is beyond the largest {dtype} ({limits.max:.3g}); rescale it"
        )
    if entry.attrs.get("transform") == "log":
        smallest = given.min()
        if not smallest > 0:
            raise InputError(
                f"{where}: holds values ≤ 0; expected positive ones, since the model sees their logarithm "
                f"(the least is {smallest:g})"
            )
        if smallest < limits.smallest_normal:
            raise InputError(
                f"{where}: holds {smallest:g}, which is positive but below the smallest {dtype} "
                f"({limits.smallest_normal:.3g}), and the model sees its logarithm; rescale it"
            )
    return np.ascontiguousarray(given, dtype)


def _native(variable: xr.Variable) -> xr.Variable:
    """Return a variable in the byte order of this machine."""
    return variable.astype(variable.dtype.newbyteorder("="))
