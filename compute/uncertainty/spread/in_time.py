from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Annotated, Literal, Self

import numpy as np
from pydantic import Field

from ritz.compute.fields.dimensions import TIME, Dimensions
from ritz.compute.uncertainty.predicted import Predicted
from ritz.compute.uncertainty.spread.fitted import AnyOneSpread
from ritz.compute.uncertainty.spread.spread import FittedSpread, Shape

if TYPE_CHECKING:
    from ritz.compute.problems.problem import Problem
    from ritz.compute.surrogates.model import Model

SHARE = 0.95
"""The scale of a time is this quantile of the largest scores of the validation samples there. Their mean does not know
of tails: where the small errors of the first times have a heavy one, bands by it are wider (bands_in_time.txt)."""

_CLOSE = 1e-6
"""By so much of the last stored time may the ends of a window miss a stored time."""


class FittedInTime(FittedSpread):
    """Widths with a factor of their own for each stored time, in place of those by ring.

    Bands around whole fields hold a window of times together. Errors grow along a trajectory, and one factor for the
    largest score of all times would be that of the last ones: bands of the first ones would be too wide. So the widths
    at each time are multiplied by its scale, how large the scores of the validation samples get there. No calibration
    sample decides about a scale.

    Attributes
    ----------
    inner
        Where the bands lie, and how wide they are at a time.
    axes
        Axis of time in a sample, by output; without outputs that do not lie along time.
    scales
        By output that lies along time, ``(time,)``: how large the largest score of a validation sample gets
        (`SHARE`), in units of the mean over the times.
    window
        Places of the first and the last stored time that bands around whole fields hold.
    times
        Stored times; empty where they are not known.
    """

    kind: Literal["in_time"] = "in_time"
    inner: AnyOneSpread
    axes: dict[str, int]
    scales: dict[str, tuple[Annotated[float, Field(gt=0)], ...]]
    window: tuple[int, int]
    times: tuple[float, ...] = ()

    @classmethod
    def fit(
        cls, inner: FittedSpread, validate: Predicted, dimensions: Dimensions | None, window: tuple[float, float] | None
    ) -> Self:
        """Find the scales of the times.

        Parameters
        ----------
        inner
            The shape of the bands, as it was found on the same validation samples.
        validate
            Samples.
        dimensions
            Of all variables.
        window
            The first and the last time that bands around whole fields hold; None for all.

        Raises
        ------
        ValueError
            As `held_times`.
        """
        first, last = held_times(dimensions, window)
        assert dimensions is not None
        axes = {name: dimensions.variables[name].index(TIME) for name in _along_time(dimensions)}
        shape = inner.shape(validate.inputs, validate.prediction)
        scales = {name: _scales(shape.scores(validate.truth, name), 1 + axis) for name, axis in axes.items()}
        return cls(inner=inner, axes=axes, scales=scales, window=(first, last), times=dimensions.times)

    def shape(self, inputs: Mapping[str, np.ndarray], prediction: Mapping[str, np.ndarray]) -> Shape:
        """Return the shape of the bands with the widths of each time in its scale; see `FittedSpread.shape`."""
        found = self.inner.shape(inputs, prediction)
        return replace(found, width={name: width * self._scale(name, width) for name, width in found.width.items()})

    def beside(self, model: Model | None, problem: Problem | None = None) -> Self:
        """Return it with the model at hand; see `FittedSpread.beside`."""
        return self.model_copy(update={"inner": self.inner.beside(model, problem)})

    def zones(self, name: str, shape: tuple[int, ...]) -> np.ndarray | None:
        """Return the place of the time of every point; see `FittedSpread.zones`."""
        return self._places(name, shape) if name in self.axes else self.inner.zones(name, shape)

    def held(self, name: str, shape: tuple[int, ...]) -> np.ndarray | None:
        """Return which points lie in the window; see `FittedSpread.held`."""
        if name not in self.axes or self.window == (0, len(self.scales[name]) - 1):
            return None
        places, (first, last) = self._places(name, shape), self.window
        held: np.ndarray = (first <= places) & (places <= last)
        return held

    def of_times(self, *, together: bool) -> str:
        """Return of which times the bands speak; see `FittedSpread.of_times`."""
        if not together:
            return "at each stored time"
        (first, last), steps = self.window, len(next(iter(self.scales.values())))
        if self.window == (0, steps - 1):
            return f"at all {steps} stored times together"
        held = f"{last - first + 1} of {steps}"
        return f"at the stored times from {self.times[first]:g} to {self.times[last]:g} together ({held})"

    def made(self) -> str:
        """Return how the bands were made; see `FittedSpread.made`."""
        own = (
            "Each stored time has a factor of its own; bands around whole fields hold them "
            f"{self.of_times(together=True)}."
        )
        return " ".join(filter(None, (self.inner.made(), own)))

    def _scale(self, name: str, values: np.ndarray) -> np.ndarray | float:
        """Return by what the widths ``(n, *dims)`` of an output are multiplied, in a shape that repeats to theirs."""
        if name not in self.axes:
            return 1.0
        along = [1] * values.ndim
        along[1 + self.axes[name]] = -1
        return np.reshape(self.scales[name], along)

    def _places(self, name: str, shape: tuple[int, ...]) -> np.ndarray:
        along = [1] * len(shape)
        along[self.axes[name]] = -1
        return np.broadcast_to(np.arange(shape[self.axes[name]]).reshape(along), shape)


def held_times(dimensions: Dimensions | None, window: tuple[float, float] | None) -> tuple[int, int]:
    """Return the places of the first and the last stored time in a window; of all stored times without one.

    Raises
    ------
    ValueError
        If no output lies along time, the window reaches beyond the stored times or holds none of them, or they are not
        known.
    """
    if dimensions is None or not _along_time(dimensions):
        raise ValueError(
            f"uncertainty.per is 'time', expected 'sample': no output lies along {TIME!r}, the problem is steady"
        )
    if window is None:
        return 0, dimensions.sizes[TIME] - 1
    said, times = f"uncertainty.window is [{window[0]:g}, {window[1]:g}]", np.array(dimensions.times)
    if not times.size:
        raise ValueError(
            f"{said}, expected none: the times of the outputs are not known (their attribute initial_state and the "
            f"coordinate {TIME!r} tell them)"
        )
    close = _CLOSE * abs(times[-1])
    if window[0] < times[0] - close or window[1] > times[-1] + close:
        raise ValueError(f"{said}, expected times within the stored ones, {times[0]:g} to {times[-1]:g}")
    inside = np.flatnonzero((times >= window[0] - close) & (times <= window[1] + close))
    if not inside.size:
        near = times[np.searchsorted(times, window[0]) + np.array([-1, 0])]
        raise ValueError(f"{said}, expected a stored time in it: the nearest are {near[0]:g} and {near[1]:g}")
    return int(inside[0]), int(inside[-1])


def _along_time(dimensions: Dimensions) -> list[str]:
    """Return the outputs that lie along time."""
    return [name for name, dims in dimensions.variables.items() if name not in dimensions.inputs and TIME in dims]


def _scales(scores: np.ndarray, axis: int) -> tuple[float, ...]:
    """Return how large the largest score of a sample gets at each time, over the mean of all times.

    Scores without a measure are left out; a time without scores, or without errors, has the scale 1.
    """
    at_times = np.moveaxis(scores, axis, 1).reshape(len(scores), scores.shape[axis], -1)
    largest = np.max(at_times, axis=2, where=np.isfinite(at_times), initial=0)
    sizes = np.quantile(largest, SHARE, axis=0)
    known = sizes > 0
    relative = sizes / sizes[known].mean() if known.any() else sizes
    return tuple(np.where(known, relative, 1.0).tolist())
