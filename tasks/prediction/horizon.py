"""Predictions at times that a user asks for, of a surrogate that steps through time."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np

from ritz.compute.fields.dimensions import TIME, Dimensions
from ritz.storage.wording import shown
from ritz.tasks.errors import InputError

if TYPE_CHECKING:
    from ritz.compute.problems.problem import Arrays
    from ritz.compute.surrogates.model import Model
    from ritz.compute.uncertainty.predicted import Assessment
    from ritz.tasks.documents.card import Card

CALIBRATED = "bands_calibrated"
"""What the file says of every time that was asked for."""

MOST = 100_000
"""Most times that are asked for at once."""

FAR = 10
"""Times the span of the training from which on a prediction is warned of."""

_WHOLE = 1e-6
"""By how much the number of steps in a range of times may miss a whole number."""


def read_times(text: str) -> tuple[float, ...]:
    """Return times from a list, as ``0.5,1,2``, or a range with both ends, as ``0:40:0.5``.

    Raises
    ------
    InputError
        If it is neither, the times do not rise from zero or later, or there are too many.

    Examples
    --------
    >>> read_times("0:1:0.25")
    (0.0, 0.25, 0.5, 0.75, 1.0)
    """
    where = f"--times is {shown(text)}"
    expected = "expected times as 0.5,1,2 or a range START:END:STEP as 0:40:0.5"
    ranged = ":" in text
    try:
        numbers = [float(part) for part in text.split(":" if ranged else ",")]
    except ValueError:
        raise InputError(f"{where}, {expected}") from None
    if not all(map(math.isfinite, numbers)) or (ranged and len(numbers) != 3):
        raise InputError(f"{where}, {expected}")
    if ranged:
        start, end, step = numbers
        count = (end - start) / step if step > 0 else -1
        if not 0 <= count < MOST or abs(count - round(count)) > _WHOLE:
            raise InputError(
                f"{where}, expected a positive STEP of which a whole number, below {MOST}, leads from START to END"
            )
        numbers = [start + (end - start) * k / max(1, round(count)) for k in range(round(count) + 1)]
    if len(numbers) > MOST:
        raise InputError(f"{where}, which are {len(numbers)} times; expected at most {MOST}")
    if numbers[0] < 0 or any(later <= earlier for earlier, later in pairwise(numbers)):
        raise InputError(f"{where}, expected times that rise from 0 or later")
    if numbers[-1] == 0:
        raise InputError(f"{where}, expected a time after 0, at which the state is an input")
    return tuple(numbers)


def with_start(
    outputs: Arrays, times: Sequence[float], inputs: Mapping[str, np.ndarray], dimensions: Dimensions
) -> Arrays:
    """Return outputs at times from 0 on: the state of the inputs at time 0, if that is the first one.

    Parameters
    ----------
    outputs
        ``(…, n, *dims)`` by output, at the times after 0.
    inputs
        ``(n, *dims)`` by variable.
    """
    if times[0] > 0:
        return outputs
    found = {}
    for name, values in outputs.items():
        axis = 1 + dimensions.variables[name].index(TIME)
        start = np.expand_dims(inputs[dimensions.starts[name]], axis)
        ahead = values.shape[: values.ndim - start.ndim]
        first = np.broadcast_to(start, (*ahead, *start.shape))
        found[name] = np.concatenate([first, values], len(ahead) + axis)
    return found


@dataclass(frozen=True)
class Horizon:
    """Predictions at some times, beside those at the times of the training.

    Attributes
    ----------
    times
        That were asked for, from 0 on.
    trained
        Those of the training.
    outputs
        ``(n, *dims)`` by output, at ``times``; the input itself at 0.
    places
        ``(times,)`` for each which of the times of the training it is, with the same prediction; −1 for none. There the
        bands of the training hold.
    """

    times: tuple[float, ...]
    trained: tuple[float, ...]
    outputs: Arrays
    places: np.ndarray

    @classmethod
    def of(cls, times: Sequence[float], model: Model, inputs: Mapping[str, np.ndarray], known: Arrays) -> Horizon:
        """Predict at some times.

        Parameters
        ----------
        times
            See `read_times`.
        model
            Its surrogate has to step through time.
        inputs
            ``(n, *dims)`` by variable.
        known
            Predictions at the times of the training.

        Raises
        ------
        InputError
            If the surrogate does not step through time, or not to these times.
        """
        dimensions = model.normalisation.dimensions
        later = [time for time in times if time > 0]
        try:
            outputs = model.rollout(inputs, later)
        except ValueError as error:
            raise InputError(f"--times: {error}") from None
        axes = {name: 1 + dimensions.variables[name].index(TIME) for name in outputs}
        places = np.full(len(times), -1)
        for k, time in enumerate(later, start=len(times) - len(later)):
            near = int(np.argmin(np.abs(np.array(dimensions.times) - time)))
            alike = np.isclose(dimensions.times[near], time, rtol=_WHOLE, atol=0) and all(
                np.array_equal(values.take(k - len(times) + len(later), axes[name]), known[name].take(near, axes[name]))
                for name, values in outputs.items()
            )
            places[k] = near if alike else -1
        return cls(tuple(times), dimensions.times, with_start(outputs, times, inputs, dimensions), places)

    def band(self, lower: Arrays, upper: Arrays, card: Card) -> tuple[Arrays, Arrays]:
        """Return the ends of a band at these times, from those at the times of the training; NaN where there are none.

        Parameters
        ----------
        lower, upper
            ``(n, *dims)`` by output.
        card
            Of the model.
        """
        return self._at_times(lower, card), self._at_times(upper, card)

    def assessment(self, known: Assessment | None, card: Card) -> Assessment | None:
        """Return what is known of errors, with the corrected fields at these times; NaN where there are none."""
        if known is None or known.corrected is None:
            return known
        return replace(known, corrected=self._at_times(known.corrected, card))

    def _at_times(self, ends: Arrays, card: Card) -> Arrays:
        found = {}
        for name, values in ends.items():
            axis = 1 + card.outputs[name].dims.index(TIME)
            there = (self.places >= 0).reshape(-1, *(1,) * (values.ndim - axis - 1))
            found[name] = np.where(there, values.take(self.places, axis), np.nan)
        return found

    def flags(self) -> tuple[str, np.ndarray, Mapping[str, Any]]:
        """Return which times have calibrated bands, as a variable of a file."""
        about = {
            "long_name": "whether the bands at this time are calibrated",
            "flag_values": np.arange(2, dtype=np.int8),
            "flag_meanings": "not_calibrated calibrated",
        }
        return TIME, (self.places >= 0).astype(np.int8), about

    def remarks(self, bands: bool) -> list[str]:
        """Return what a user should know, a line each.

        Parameters
        ----------
        bands
            Whether the predictions have bands.
        """
        found = []
        calibrated = int((self.places >= 0).sum())
        if bands and calibrated < len(self.times):
            found.append(
                f"the bands are calibrated at {calibrated} of the {len(self.times)} times and NaN at the others; "
                f"`{CALIBRATED}` flags them"
            )
        last, end = self.times[-1], self.trained[-1]
        if last >= FAR * end:
            found.append(
                f"the times reach to {last:g}, {last / end:.3g} times the {end:g} of the training: so far beyond it "
                "nothing of the predictions was measured, do not rely on them"
            )
        elif last > end * (1 + _WHOLE):
            found.append(f"the times reach to {last:g}, the training to {end:g}: no error was measured beyond it")
        return found
