from __future__ import annotations

from typing import ClassVar

import numpy as np

from ritz.compute.training.parts.part import Part, State


class Schedule(Part):
    """Which samples made each step, on this rank.

    Attributes
    ----------
    steps
        Ids of every step, ``(batch,)`` int64 each.
    """

    name: ClassVar[str] = "schedule"
    shared: ClassVar[bool] = False

    def __init__(self) -> None:
        self.steps: list[np.ndarray] = []

    def add(self, ids: np.ndarray) -> None:
        """Note the samples of a step."""
        self.steps.append(ids)

    def ids(self) -> np.ndarray:
        """Return all of it, ``(steps, batch)`` int64."""
        return np.array(self.steps, np.int64).reshape(len(self.steps), -1 if self.steps else 0)

    def state(self) -> State:
        """Return the ids; see `Part.state`."""
        return {"ids": self.ids()}

    def load(self, state: State) -> None:
        """Go on from what was noted; see `Part.load`."""
        self.steps = list(state["ids"])
