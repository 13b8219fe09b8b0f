from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from ritz.compute.problems.gaussian import generator
from ritz.compute.problems.problem import Arrays
from ritz.compute.uncertainty.propagation.laws.input_law import FittedInputLaw, InputLaw
from ritz.compute.uncertainty.propagation.laws.stored_inputs import StoredInputs

STREAM = 2**20 + 1
"""Of the random numbers that choose rows; those of problems are the first few, those of traces the one before."""

LEAST = 2
"""Rows of a law: one alone is a constant."""


@dataclass(frozen=True)
class FittedEmpirical(FittedInputLaw):
    """Rows, each as likely as the others."""

    stored: StoredInputs

    def rows(self, seed: int, ids: np.ndarray) -> np.ndarray:
        """Return which row each sample is, ``(n,)``."""
        return np.array([generator(seed, int(one), STREAM).integers(len(self.stored)) for one in ids], np.int64)

    def draw(self, seed: int, ids: np.ndarray) -> Arrays:
        """Return the inputs of rows drawn with replacement; see `FittedInputLaw.draw`."""
        return self.stored.taken(self.rows(seed, ids))


class Empirical(InputLaw):
    """The empirical law: one of the stored samples, each as likely, drawn with replacement.

    The population is the rows. An interval is of their mean or share, as if all of them were solved, and says nothing
    of how well they stand for the law that they came from.
    """

    kind: Literal["empirical"] = "empirical"

    def unfit(self, stored: StoredInputs) -> str:
        """Return that there are too few rows; see `InputLaw.unfit`."""
        return f"there are {len(stored)} rows, expected {LEAST} or more" if len(stored) < LEAST else ""

    def of(self, stored: StoredInputs) -> FittedEmpirical:
        """Return the law; see `InputLaw.of`."""
        return FittedEmpirical(stored)
