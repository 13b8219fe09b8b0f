from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

import numpy as np

from ritz.compute.surrogates.normalisation import Arrays
from ritz.compute.training.buffers.buffer import Buffer
from ritz.compute.training.buffers.slots import Slots
from ritz.compute.training.parts.part import Part, State
from ritz.compute.training.samples.refill import Refill, refilled


class Holding(Part):
    """What a buffer holds on this rank, with the random numbers by which it chooses; in a checkpoint are ids alone.

    Parameters
    ----------
    buffer
        The policy.
    seed
        Of the random numbers.
    refill
        Returns the samples again.
    """

    name: ClassVar[str] = "buffer"
    shared: ClassVar[bool] = False

    def __init__(self, buffer: Buffer, seed: int, refill: Refill) -> None:
        self.buffer, self._refill = buffer, refill
        self._slots, self._rng = Slots(buffer.capacity), np.random.default_rng(seed)

    def __len__(self) -> int:
        """Return the number of samples."""
        return len(self._slots)

    def put(self, sample: int, fields: Mapping[str, np.ndarray]) -> bool:
        """Take in one sample, or refuse it; see `Buffer.put`."""
        return self.buffer.put(self._slots, self._rng, sample, fields)

    def draw(self, n: int, left: int | None) -> tuple[np.ndarray, Arrays]:
        """Draw a batch; see `Buffer.draw`."""
        return self.buffer.draw(self._slots, self._rng, n, left)

    def state(self) -> State:
        """Return ids and random numbers; see `Part.state`."""
        return {"ids": self._slots.ids, "seen": self._slots.seen, "rng": self._rng.bit_generator.state}

    def load(self, state: State) -> None:
        """Read the samples again; see `Part.load`."""
        self._slots.restore(state["ids"], state["seen"], refilled(self._refill, state["ids"], "buffer"))
        self._rng.bit_generator.state = state["rng"]
