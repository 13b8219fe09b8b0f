"""Answers of rungs from workers, kept so that a driver that was killed goes on from them."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterable, Iterator, Mapping

import numpy as np

from ritz.compute.cluster.cluster import Cluster
from ritz.compute.cluster.stream import stream
from ritz.compute.evaluation.quantities.quantity import Quantity
from ritz.compute.fields.tensors import pack, unpack
from ritz.compute.uncertainty.propagation.telescope import Answered, Wanted
from ritz.storage.store import Store
from ritz.tasks.propagation.rungs import RungPlace
from ritz.tasks.propagation.worker import Asking, By, answer

log = logging.getLogger("ritz")

KEEP_EVERY = 30.0
"""Seconds from one writing of the answers to the next."""

TELL_EVERY = 5.0
"""Seconds between two lines that say how far it is: how many samples it takes is not known."""

Key = tuple[int, str, int, int]
"""Of an answer: its term, rung, first id and number of samples."""


class Answers:
    """Asks workers, and remembers what they answered.

    Parameters
    ----------
    places
        The rungs, by name.
    store, key
        Where the answers are kept until `forget`.
    """

    def __init__(
        self,
        cluster: Cluster,
        places: Mapping[str, RungPlace],
        quantities: tuple[Quantity, ...],
        seed: int,
        store: Store,
        key: str,
    ) -> None:
        self._cluster, self._places, self._quantities, self._seed = cluster, places, quantities, seed
        self._store, self._key = store, key
        self._by: dict[str, By] = {}
        self._known: dict[Key, tuple[np.ndarray, float]] = {}
        self._written = self._told = time.monotonic()
        self.samples = 0
        self._read()

    def ask(self, asked: Iterable[Wanted]) -> Iterator[Answered]:
        """Yield answers as they come; a term's rungs are answered on the workers of their roles."""
        wanted = list(asked)
        for role in dict.fromkeys(place.role for place in self._places.values()):
            self._answer(role, wanted)
        for one in wanted:
            found = [self._known[_key(one, rung)] for rung in one.rungs]
            yield Answered(one, tuple(values for values, _ in found), tuple(seconds for _, seconds in found))

    def forget(self) -> None:
        """Remove what was kept."""
        self._store.remove(self._key)

    def _answer(self, role: str, wanted: list[Wanted]) -> None:
        """Have the workers of a role answer what is not known yet."""
        keys: list[Key] = []
        items = []
        for one in wanted:
            for rung in one.rungs:
                place, key = self._places[rung], _key(one, rung)
                if place.role == role and key not in self._known:
                    by = self._by_of(rung)
                    items.append(Asking(len(keys), rung, place.problem, by, one.points, self._quantities, place.law))
                    keys.append(key)
        if not items:
            return
        cluster = self._cluster
        for done in stream(cluster, answer, items, window=cluster.window(role), role=role):
            self._known[keys[done.item.number]] = done.receipt
            self.samples += len(done.item.points)
            now = time.monotonic()
            if now - self._told > TELL_EVERY:
                self._told = now
                log.info("propagate: %d samples answered", self.samples)
            if now - self._written > KEEP_EVERY:
                self._write()

    def _by_of(self, rung: str) -> By:
        if rung not in self._by:
            self._by[rung] = self._places[rung].by(self._cluster, self._seed)
        return self._by[rung]

    def _write(self) -> None:
        arrays = {"/".join(map(str, key)): values for key, (values, _) in self._known.items()}
        seconds = {"/".join(map(str, key)): taken for key, (_, taken) in self._known.items()}
        self._store.write(self._key, pack(arrays, {"seconds": seconds}))
        self._written = time.monotonic()

    def _read(self) -> None:
        if not self._store.exists(self._key):
            return
        try:
            arrays, header = unpack(self._store.read(self._key))
        except ValueError:
            # It was never needed: the question is asked anew.
            return
        for name, values in arrays.items():
            # A rung has "/" in its name.
            term, *rung, first, count = name.split("/")
            self._known[int(term), "/".join(rung), int(first), int(count)] = (values, float(header["seconds"][name]))
        log.info("propagate: goes on from %d answers", len(self._known))


def _key(asked: Wanted, rung: str) -> Key:
    return asked.term, rung, int(asked.points.ids[0]), len(asked.points)
