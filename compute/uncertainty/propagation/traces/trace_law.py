from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass

import numpy as np

from ritz.compute.problems.gaussian import generator
from ritz.compute.problems.problem import Arrays
from ritz.compute.uncertainty.propagation.laws.input_law import FittedInputLaw, InputLaw
from ritz.compute.uncertainty.propagation.laws.joined import Joined
from ritz.compute.uncertainty.propagation.laws.stored_inputs import StoredInputs

STREAM = 2**20
"""Of the random numbers of traces; those of problems are the first few."""

MOST = 2**26
"""Numbers of the traces to which a law is fitted, at most: half a gigabyte."""


class FittedTraceLaw(ABC):
    """A law of traces, as fitted to some of them."""

    @abstractmethod
    def trace(self, numbers: np.random.Generator) -> np.ndarray:
        """Return a trace ``(d,)`` float64 by random numbers of its own."""

    def draw(self, seed: int, ids: np.ndarray) -> np.ndarray:
        """Draw the traces of samples.

        Parameters
        ----------
        seed
            Not negative.
        ids
            ``(n,)`` sample ids, not negative.

        Returns
        -------
        traces
            ``(n, d)`` float64, the same bits for the same seed and id in any block, order and process.
        """
        # One by one: a product of matrices rounds differently with the number of rows.
        traces = [self.trace(generator(seed, int(sample), STREAM)) for sample in ids]
        return np.stack(traces) if traces else np.empty((0, len(self.trace(generator(seed, 0, STREAM)))))


@dataclass(frozen=True)
class FittedJoined(FittedInputLaw):
    """A law of traces that are the inputs of samples."""

    fitted: FittedTraceLaw
    joined: Joined

    def draw(self, seed: int, ids: np.ndarray) -> Arrays:
        """Draw the inputs of samples; see `FittedInputLaw.draw`."""
        return self.joined.inputs(self.fitted.draw(seed, ids))


class TraceLaw(InputLaw, ABC):
    """A way to a law of traces: values along a line or surface of a full model that drive a model of a part of it.

    As a law of inputs its traces are all inputs of a sample, joined as `Joined` says: boundary values, fields, numbers.
    """

    def too_few(self, count: int, width: int) -> str:
        """Return why so many traces of so many points are too few for it, in a few words; empty where they are not."""
        del width
        return "" if count else "there are 0 traces, expected more"

    def unfit(self, stored: StoredInputs) -> str:
        """Return that there are too few stored samples, or too many; see `InputLaw.unfit`."""
        numbers = len(stored) * stored.numbers
        if numbers > MOST:
            return f"{len(stored)} rows of {stored.numbers} numbers are {numbers} in all, expected {MOST} at most"
        return self.too_few(len(stored), stored.numbers)

    def of(self, stored: StoredInputs) -> FittedJoined:
        """Fit the law to the inputs of all rows; see `InputLaw.of`."""
        inputs = stored.taken(np.arange(len(stored)))
        joined = Joined.of(inputs, stored.logs)
        return FittedJoined(self.fit(joined.traces(inputs)), joined)

    @abstractmethod
    def fit(self, traces: np.ndarray) -> FittedTraceLaw:
        """Fit the law to traces.

        Parameters
        ----------
        traces
            ``(n, d)``, one per sample, in any unit; draws have the same.

        Raises
        ------
        ValueError
            A value is not finite, the array has another shape, or there are too few traces.
        """
