"""Values of variables, some samples at a time."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

import numpy as np

from ritz.compute.problems.problem import Arrays
from ritz.storage.errors import Refused
from ritz.storage.importing.opening import open_source
from ritz.storage.importing.source import Source
from ritz.tasks.importing.resolving import SAMPLE, Reading, part

APPLY = {"log": np.log, "log10": np.log10, "exp": np.exp, "sqrt": np.sqrt}


def opened(stack: ExitStack, paths: Sequence[str]) -> list[Source]:
    """Open the files of an item; the stack closes them."""
    return [stack.enter_context(open_source(Path(path))) for path in paths]


def samples_in(readings: Sequence[Reading], files: Sequence[Source]) -> int:
    """Return how many samples an item has, whose arrays have to be like those of the first one.

    Raises
    ------
    ritz.storage.errors.Refused
        If an array has another shape, or variables have different numbers of samples.
    ritz.storage.errors.StorageError
        If an array is missing.
    """
    counts: dict[str, int] = {}
    for one in readings:
        file = files[one.group]
        if not one.source:
            file.number(one.variable.attribute)
            continue
        shape = file.shape(one.source)
        expected = [size or "any" for size in one.sizes]
        if len(shape) != len(expected) or any(size not in (0, own) for size, own in zip(one.sizes, shape, strict=True)):
            raise Refused(
                f"{file.path}: array {one.source!r} has the shape {shape}, expected that of the first file, {expected}"
            )
        if SAMPLE in one.dims:
            counts[one.name] = shape[one.dims.index(SAMPLE)]
    if len(set(counts.values())) > 1:
        raise Refused(f"{files[0].path}: variables have different numbers of samples: {counts}")
    return next(iter(counts.values()), 1)


def rows(readings: Sequence[Reading], files: Sequence[Source], start: int, stop: int) -> Arrays:
    """Read some samples of an item.

    Returns
    -------
    fields
        ``(stop − start, *dims)`` by variable, in the dimensions of the dataset; float64 or float32.
    """
    return {one.name: _values(one, files[one.group], start, stop) for one in readings}


def _values(reading: Reading, file: Source, start: int, stop: int) -> np.ndarray:
    variable, count, dims = reading.variable, stop - start, list[str]()
    if not reading.source:
        values = np.asarray(file.number(variable.attribute))
    else:
        index: list[int | slice] = []
        for dim, size in zip(reading.dims, reading.sizes, strict=True):
            where = 0 if isinstance(dim, int) else variable.at.get(dim)
            if isinstance(where, int):
                # Not every format counts from the end.
                index.append(where % max(size, 1))
                continue
            first, end, _ = (start, stop, 0) if dim == SAMPLE else part(reading, str(dim))
            index.append(slice(first, end))
            dims.append(str(dim))
        values = file.read(reading.source, tuple(index))
    with np.errstate(all="ignore"):
        values = _changed(reading, file, values)
    order = [dims.index(dim) for dim in ((SAMPLE,) if SAMPLE in dims else ()) + reading.stored]
    values = values.transpose(order)
    return values if SAMPLE in dims else np.broadcast_to(values, (count, *values.shape))


def _changed(reading: Reading, file: Source, values: np.ndarray) -> np.ndarray:
    """Return ``scale · apply(value) / divide_by + offset``, in float64 where anything changes."""
    variable = reading.variable
    if variable.apply != "identity":
        values = APPLY[variable.apply](values.astype(np.float64))
    factor = variable.scale / (file.number(variable.divide_by) if variable.divide_by else 1.0)
    if factor != 1:
        values = values.astype(np.float64) * factor
    return values.astype(np.float64) + variable.offset if variable.offset else values
