"""What the judges of inputs look at: numbers per sample that tell level, spread and roughness of a field."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from ritz.compute.fields.dimensions import Dimensions

ENTRIES = 32
"""Entries along dimensions that are not of space are told apart up to this number."""

OF_DIFFERENCES = ("roughness", "fineness")
"""Statistics that depend on the grid, since they are of differences between neighbours."""

_TINY = 1e-6
"""What keeps logarithms finite, in units of an input's deviation."""


@dataclass(frozen=True)
class Statistic:
    """One number per sample of one input.

    Attributes
    ----------
    of, what
        The input with its transform and entry, and what is measured of it.
    values
        ``(n,)`` float64.
    logarithm
        Whether they are logarithms of what is measured.
    unit
        Deviation of the input by which the least room is measured; 1 for logarithms.
    """

    of: str
    what: str
    values: np.ndarray
    logarithm: bool = False
    unit: float = 1.0

    @property
    def name(self) -> str:
        """By which the bounds of it are found."""
        return f"{self.of} {self.what}"


def statistics(
    inputs: Mapping[str, np.ndarray], logs: tuple[str, ...], units: Mapping[str, float], dimensions: Dimensions
) -> Iterator[Statistic]:
    """Yield what the judges look at, one number per sample each."""
    for name in dimensions.inputs:
        values, unit = natural(name, inputs, logs), units[name]
        called = f"log {name}" if name in logs else name
        for entry, part in _entries(values, dimensions, name):
            if part.ndim == 1:
                yield Statistic(called + entry, "value", part, unit=unit)
                continue
            axes = tuple(range(1, part.ndim))
            spread = part.std(axis=axes)
            yield Statistic(called + entry, "level", part.mean(axis=axes), unit=unit)
            yield Statistic(called + entry, "spread", np.log(spread + _TINY * unit), logarithm=True)
            yield Statistic(called + entry, "lowest", part.min(axis=axes), unit=unit)
            yield Statistic(called + entry, "highest", part.max(axis=axes), unit=unit)
            slope, curvature = (_differences(part, dimensions, name, order) for order in (1, 3))
            roughness = np.log(slope / (spread + _TINY * unit) + _TINY)
            yield Statistic(called + entry, "roughness", roughness, logarithm=True)
            fineness = np.log(curvature / (slope + _TINY * unit) + _TINY)
            yield Statistic(called + entry, "fineness", fineness, logarithm=True)


def natural(name: str, inputs: Mapping[str, np.ndarray], logs: tuple[str, ...]) -> np.ndarray:
    """Return the values of an input, or their logarithms where these are the natural scale, ``(n, *dims)`` float64."""
    values = inputs[name].astype(np.float64)
    return np.log(values) if name in logs else values


def _entries(values: np.ndarray, dimensions: Dimensions, name: str) -> Iterator[tuple[str, np.ndarray]]:
    """Yield what is told apart of an input: ``(n, *space)`` each, or ``(n,)`` where it does not lie in space."""
    stacked = dimensions.stack(name, values)
    along = [1 + axis for axis, there in enumerate(dimensions.along(name)) if there]
    fields = stacked.reshape(*stacked.shape[:2], *(stacked.shape[1 + axis] for axis in along))
    count = fields.shape[1]
    if count == 1:
        yield "", fields[:, 0]
    elif count <= ENTRIES:
        for k in range(count):
            yield f"[{k}]", fields[:, k]
    else:
        yield "", fields


def _differences(part: np.ndarray, dimensions: Dimensions, name: str, order: int) -> np.ndarray:
    """Return the root mean square of the differences of one order, over the unit box, ``(n,)``.

    The nodes of a mesh are taken in the order of their numbers, which is the same for all samples.
    """
    total = np.zeros(len(part))
    for axis in range(part.ndim - sum(dimensions.along(name)), part.ndim):
        points = part.shape[axis]
        if points > order:
            steps = np.diff(part, order, axis=axis) * points**order
            total += np.mean(steps**2, axis=tuple(range(1, part.ndim)))
    return np.sqrt(total)
