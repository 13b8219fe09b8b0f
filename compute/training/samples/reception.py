from __future__ import annotations

from typing import ClassVar

from ritz.compute.training.parts.part import Part, State


class Reception(Part):
    """What this rank has received.

    Attributes
    ----------
    taken
        Training samples.
    received
        Time at which each shard arrived, in seconds since the epoch, by its number; empty where there are no shards.
    partial
        Training samples taken of the shards that are taken in just now, by their number.
    """

    name: ClassVar[str] = "reception"
    shared: ClassVar[bool] = False

    def __init__(self) -> None:
        self.taken = 0
        self.received: dict[int, float] = {}
        self.partial: dict[int, int] = {}

    def count(self, samples: int) -> None:
        """Count training samples that came all at once."""
        self.taken += samples

    def open(self, shard: int) -> None:
        """Begin to take in a shard."""
        self.partial[shard] = 0

    def take(self, shard: int) -> None:
        """Count the next training sample of a shard."""
        self.taken += 1
        self.partial[shard] += 1

    def close(self, shard: int, when: float) -> None:
        """Note that a shard, which arrived at ``when``, is taken in."""
        del self.partial[shard]
        self.received[shard] = when

    def state(self) -> State:
        """Return all counts; see `Part.state`."""
        return {"taken": self.taken, "received": dict(self.received), "partial": dict(self.partial)}

    def load(self, state: State) -> None:
        """Go on from them; see `Part.load`."""
        self.taken, self.received, self.partial = state["taken"], state["received"], state["partial"]
