"""How many samples of a dataset are being solved, for who looks at it meanwhile."""

from __future__ import annotations

import json
import time
from collections.abc import Iterable, Iterator
from typing import TypeVar

from ritz.storage.committer import Committer
from ritz.storage.datasets import Dataset

T = TypeVar("T")

EVERY = 2.0
"""Seconds between two notes in the store."""


class InFlight:
    """Counts the shards that are with solve workers, and notes it in the store now and then.

    To be used by the process that holds the dataset's lock: what one leaves that was killed is nobody's word.
    """

    def __init__(self, dataset: Committer) -> None:
        self.dataset, self.shards = dataset, 0
        self._noted = float("-inf")

    def begin(self, shards: Iterable[T]) -> Iterator[T]:
        """Count every shard that is taken."""
        for shard in shards:
            self.shards += 1
            self._note()
            yield shard
        self._note(last=True)

    def end(self, shards: int) -> None:
        """Count shards that came back."""
        self.shards -= shards
        self._note(last=self.shards == 0)

    def _note(self, last: bool = False) -> None:
        now = time.monotonic()
        if last or now - self._noted >= EVERY:
            self._noted = now
            note = {"samples": self.shards * self.dataset.shard}
            self.dataset.store.write(_key(self.dataset.name), json.dumps(note).encode())


def in_flight(dataset: Dataset) -> int:
    """Return how many samples of a dataset are being solved now, as far as its driver has said; 0 if it has none."""
    key = _key(dataset.name)
    if dataset.driver() is None or not dataset.store.exists(key):
        return 0
    return int(dataset.store.document(key)["samples"])


def _key(name: str) -> str:
    return f"progress/{name}.json"
