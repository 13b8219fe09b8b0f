from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

import numpy as np

from ritz.compute.surrogates.normalisation import Arrays
from ritz.compute.training.parts.part import Part, State
from ritz.compute.training.samples.refill import Refill, refilled


class Validation(Part):
    """The samples on which the validation error of the curve is taken; in a checkpoint are their ids alone.

    Parameters
    ----------
    limit
        How many are kept at most: those that come first.
    refill
        Returns them again.

    Attributes
    ----------
    ids, fields
        ``(n,)`` int64 and ``(n, *dims)`` for every variable, in the order in which they came.
    """

    name: ClassVar[str] = "validation"
    shared: ClassVar[bool] = False

    def __init__(self, limit: int, refill: Refill) -> None:
        self.limit, self._refill = limit, refill
        self.ids = np.empty(0, np.int64)
        self.fields: Arrays = {}

    def __len__(self) -> int:
        """Return the number of samples."""
        return len(self.ids)

    def replace(self, ids: np.ndarray, fields: Mapping[str, np.ndarray]) -> None:
        """Take these samples and no others."""
        self.ids, self.fields = ids, dict(fields)

    def add(self, ids: np.ndarray, fields: Mapping[str, np.ndarray]) -> None:
        """Keep more samples, up to the limit."""
        room = max(0, self.limit - len(self.ids))
        if room == 0 or len(ids) == 0:
            return
        joined = {
            name: np.concatenate([self.fields[name], values[:room]]) if self.fields else values[:room]
            for name, values in fields.items()
        }
        self.replace(np.concatenate([self.ids, ids[:room]]), joined)

    def state(self) -> State:
        """Return the ids; see `Part.state`."""
        return {"ids": self.ids}

    def load(self, state: State) -> None:
        """Read the samples again; see `Part.load`."""
        self.replace(state["ids"], refilled(self._refill, state["ids"], "validation"))
