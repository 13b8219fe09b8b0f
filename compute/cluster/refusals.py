from __future__ import annotations

import hashlib
import json
import logging
import time
from collections.abc import Iterable
from threading import Lock
from typing import Any

from distributed import Client

from ritz.compute.cluster.admission import Admission, versions
from ritz.compute.cluster.errors import ClusterError

log = logging.getLogger("ritz")

TRIES = 4
"""How often all workers are asked for their versions."""

PAUSE = 1.0
"""Seconds from one time to the next."""


class Refusals:
    """The driver's end of `ritz.compute.cluster.admission`: the workers whose versions differ from the driver's.

    They get no work; the log names each with its versions and the expected ones.

    Parameters
    ----------
    client : distributed.Client
        The driver's client. Its worker plugin stays registered with the scheduler, for drivers with the same versions.
    roles
        Names of resources.

    Raises
    ------
    ClusterError
        If a worker that the scheduler knows does not answer, and the scheduler keeps it all the same.
    """

    def __init__(self, client: Client, roles: Iterable[str]) -> None:
        expected = versions()
        digest = hashlib.sha256(json.dumps(expected, sort_keys=True).encode()).hexdigest()[:12]
        self.names = {role: f"{role}@{digest}" for role in roles}
        """Resource of a role → the resource that its tasks require."""
        self._refused: dict[str, str] = {}
        self._client, self._topic, self._lock = client, f"refused@{digest}", Lock()
        client.subscribe_topic(self._topic, self._on_refusal)
        self._ask(Admission(expected, self.names, self._topic), f"admission@{digest}")

    def among(self, addresses: Iterable[str]) -> list[str]:
        """Return a sentence for each refused worker among ``addresses``."""
        with self._lock:
            return [self._refused[address] for address in addresses if address in self._refused]

    def _ask(self, admission: Admission, name: str) -> None:
        """Have all workers, also those that join later, look at their versions."""
        for number in range(1, TRIES + 1):
            try:
                self._client.register_plugin(admission, name=name)
            except OSError as error:
                # Dask asks all at once, and fails with the one that does not answer: it drops that one later.
                if number == TRIES:
                    raise ClusterError(f"a worker did not answer {TRIES} times ({error})") from error
                log.warning("a worker does not answer; all are asked again")
                time.sleep(PAUSE)
            else:
                return

    def close(self) -> None:
        """Unsubscribe."""
        if self._client.status == "running":
            self._client.unsubscribe_topic(self._topic)

    def _on_refusal(self, event: tuple[float, dict[str, Any]]) -> None:
        refusal = event[1]
        with self._lock:
            if refusal["address"] in self._refused:
                return
            differing = (f"{name} {theirs}, expected {ours}" for name, (theirs, ours) in refusal["differing"].items())
            sentence = f"worker {refusal['name']} at {refusal['address']} has {'; '.join(differing)}"
            self._refused[refusal["address"]] = sentence
        log.warning("%s, as the driver has: it gets no work", sentence)
