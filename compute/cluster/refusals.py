from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Iterable
from threading import Lock
from typing import Any

from distributed import Client

from ritz.compute.cluster.admission import Admission, versions

log = logging.getLogger("ritz")


class Refusals:
    """The driver's end of `ritz.compute.cluster.admission`: which workers compute with something else than the driver.

    They get no work; each is named in the log, with what it has and what was expected.

    Parameters
    ----------
    client : distributed.Client
        The driver's client. What it tells the workers stays with the scheduler when it has gone, for drivers with the
        same versions.
    roles
        Names of resources.
    """

    def __init__(self, client: Client, roles: Iterable[str]) -> None:
        expected = versions()
        digest = hashlib.sha256(json.dumps(expected, sort_keys=True).encode()).hexdigest()[:12]
        self.names = {role: f"{role}@{digest}" for role in roles}
        """Resource of a role → the resource that work for it asks for."""
        self._refused: dict[str, str] = {}
        self._client, self._topic, self._lock = client, f"refused@{digest}", Lock()
        client.subscribe_topic(self._topic, self._hear)
        client.register_plugin(Admission(expected, self.names, self._topic), name=f"admission@{digest}")

    def among(self, addresses: Iterable[str]) -> list[str]:
        """Return a sentence for each of some workers that is refused."""
        with self._lock:
            return [self._refused[address] for address in addresses if address in self._refused]

    def close(self) -> None:
        """Listen no more."""
        if self._client.status == "running":
            self._client.unsubscribe_topic(self._topic)

    def _hear(self, event: tuple[float, dict[str, Any]]) -> None:
        said = event[1]
        with self._lock:
            if said["address"] in self._refused:
                return
            differing = (f"{name} {theirs}, expected {ours}" for name, (theirs, ours) in said["differing"].items())
            sentence = f"worker {said['name']} at {said['address']} has {'; '.join(differing)}"
            self._refused[said["address"]] = sentence
        log.warning("%s, as the driver has: it gets no work", sentence)
