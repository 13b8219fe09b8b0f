from __future__ import annotations

from abc import ABC, abstractmethod

import numpy as np

from ritz.compute.kind import Kind
from ritz.compute.problems.problem import Arrays
from ritz.compute.uncertainty.propagation.laws.stored_inputs import StoredInputs


class FittedInputLaw(ABC):
    """A law of the inputs of a problem, made of stored ones."""

    @abstractmethod
    def draw(self, seed: int, ids: np.ndarray) -> Arrays:
        """Draw the inputs of samples.

        Parameters
        ----------
        seed
            Not negative.
        ids
            ``(n,)`` sample ids, not negative.

        Returns
        -------
        inputs
            ``(n, *dims)`` by name in the stored dtypes, on the stored grid; the same bits for the same seed and id in
            any block and order.
        """


class InputLaw(Kind, ABC):
    """A way to a law of inputs from stored ones, in the place of the law by which a problem draws."""

    kind: str

    @abstractmethod
    def unfit(self, stored: StoredInputs) -> str:
        """Return why no law can be made of stored inputs, in a few words; empty where one can. Reads no rows."""

    @abstractmethod
    def of(self, stored: StoredInputs) -> FittedInputLaw:
        """Make the law.

        Raises
        ------
        ValueError
            A value is not finite, or not positive where its logarithm is needed.
        """
