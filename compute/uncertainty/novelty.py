from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np

from ritz.compute.fields.dimensions import Dimensions
from ritz.compute.kind import Kind

ENTRIES = 32
"""Entries along dimensions that are not of space are told apart up to this number."""

_TAIL, _LEAST = 0.05, 6
"""Tails are measured from this quantile on, and hold at least so many samples."""

_RATE = 1e-2
"""Share of the inputs of the law itself that may be called outside, if the tails are exponential."""

_FLOOR, _TINY = 1e-2, 1e-6
"""Least room beyond the extremes, and what keeps logarithms finite; both in units of an input's deviation."""


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


class Bounds(Kind):
    """Between which values a statistic of the inputs that a model was trained on lies."""

    low: float
    high: float
    logarithm: bool = False

    @classmethod
    def of(cls, statistic: Statistic, among: int) -> Bounds:
        """Take the extremes, and add on each side a multiple of the length of the tail.

        Parameters
        ----------
        among
            Number of statistics that are looked at together.
        """
        values = np.sort(statistic.values)
        n = len(values)
        rank = min(max(int(np.ceil(_TAIL * n)), _LEAST), n - 1)
        # Beyond the largest of n an exponential tail has the weight rank^−c / n.
        factor = max(1.0, np.log(2 * among / (n * _RATE)) / np.log(rank + 1)) if rank else 0.0
        floor = _FLOOR * statistic.unit
        low = values[0] - factor * (values[rank] - values[0]) - floor
        high = values[-1] + factor * (values[-1] - values[n - 1 - rank]) + floor
        return cls(low=float(low), high=float(high), logarithm=statistic.logarithm)

    def score(self, values: np.ndarray) -> np.ndarray:
        """Return the distances from the middle in half widths: up to 1 inside."""
        middle, half = (self.low + self.high) / 2, (self.high - self.low) / 2
        return np.abs(values - middle) / half

    def text(self, value: float) -> str:
        """Say a value and the bounds in words."""
        shown = [np.exp(one) if self.logarithm else one for one in (value, self.low, self.high)]
        return "{:.3g}, expected {:.3g} to {:.3g}".format(*shown)


@dataclass(frozen=True)
class Judged:
    """How unlike the training inputs some inputs are.

    Attributes
    ----------
    score
        ``(n,)`` float64; above 1 an input is outside.
    reasons
        For every sample a statistic that is outside, or the one that is furthest out, in words.
    """

    score: np.ndarray
    reasons: tuple[str, ...]

    @property
    def outside(self) -> np.ndarray:
        """Which inputs are unlike anything that the model was trained on, ``(n,)`` bool."""
        found: np.ndarray = self.score > 1
        return found


class Novelty(Kind):
    """How unlike the inputs that a model was trained on an input is.

    Of every input, after its transform: level (mean), spread (standard deviation), lowest and highest value, roughness
    (root mean square of the gradient over the unit box, over the spread) and fineness (the same of the third
    differences, over that of the gradient); of an input that is one number per sample, its value. Each is compared with
    its bounds: the extremes among the training inputs, and beyond them as much again as there is between the extreme
    and the 5 % quantile (of few samples the seventh value, and more than that). So the room that is left is that of
    the tail: little for a law with bounded values, more for a Gaussian one. The score is that of the statistic that
    is furthest out.

    A low score is no promise: inputs may differ in what none of these numbers sees.
    """

    kind: Literal["extremes"] = "extremes"
    samples: int
    """Training inputs that were looked at."""
    logs: tuple[str, ...]
    """Inputs whose logarithm is taken."""
    units: dict[str, float]
    """Standard deviation of every input, after its transform, over all samples and points."""
    bounds: dict[str, Bounds]
    """By the name of the statistic."""
    dimensions: Dimensions
    """Of the variables."""

    @classmethod
    def fit(cls, inputs: Mapping[str, np.ndarray], logs: tuple[str, ...], dimensions: Dimensions) -> Novelty:
        """Take the bounds of training inputs.

        Parameters
        ----------
        inputs
            ``(n, *dims)`` for every input, in physical units; n ≥ 1.
        logs
            Inputs whose logarithm is the natural scale.
        dimensions
            Of all variables.
        """
        units = {name: float(_natural(name, inputs, logs).std()) or 1.0 for name in dimensions.inputs}
        found = list(statistics(inputs, logs, units, dimensions))
        bounds = {one.name: Bounds.of(one, len(found)) for one in found}
        samples = len(next(iter(inputs.values())))
        return cls(samples=samples, logs=logs, units=units, bounds=bounds, dimensions=dimensions)

    def judge(self, inputs: Mapping[str, np.ndarray]) -> Judged:
        """Compare inputs with the training inputs.

        Parameters
        ----------
        inputs
            ``(n, *dims)`` for every input, in physical units, on any grid.
        """
        found = list(statistics(inputs, self.logs, self.units, self.dimensions))
        scores = np.array([self.bounds[one.name].score(one.values) for one in found])
        # The first that is outside is the plainest; where none is, that which is furthest out.
        telling = np.where((scores > 1).any(axis=0), (scores > 1).argmax(axis=0), scores.argmax(axis=0))
        chosen = [(found[at], i) for i, at in enumerate(telling)]
        reasons = tuple(f"{one.name} {self.bounds[one.name].text(float(one.values[i]))}" for one, i in chosen)
        return Judged(scores.max(axis=0), reasons)

    def to_bytes(self) -> bytes:
        """Return it as JSON."""
        return self.model_dump_json().encode()

    @classmethod
    def from_bytes(cls, blob: bytes) -> Novelty:
        """Read what `to_bytes` wrote."""
        return cls.model_validate_json(blob)


def statistics(
    inputs: Mapping[str, np.ndarray], logs: tuple[str, ...], units: Mapping[str, float], dimensions: Dimensions
) -> Iterator[Statistic]:
    """Yield what `Novelty` looks at, one number per sample each."""
    for name in dimensions.inputs:
        values, unit = _natural(name, inputs, logs), units[name]
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


def _natural(name: str, inputs: Mapping[str, np.ndarray], logs: tuple[str, ...]) -> np.ndarray:
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
