from __future__ import annotations

from abc import ABC, abstractmethod

import numpy as np

from ritz.compute.kind import Kind
from ritz.compute.problems.gaussian import generator

STREAM = 2**20
"""Of the random numbers of traces; those of problems are the first few."""


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


class TraceLaw(Kind, ABC):
    """A way to a law of traces: values along a line or surface of a full model that drive a model of a part of it."""

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
