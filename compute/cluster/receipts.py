from __future__ import annotations

import pickle
from collections.abc import Iterable
from typing import Any, Protocol

from distributed import Client, get_worker


class HasReceipt(Protocol):
    """Result of a streamed function: a value that stays on its worker, with a small part for the driver."""

    @property
    def receipt(self) -> Any:
        """The small part."""


class Receipts:
    """The driver's end: small parts of results, which arrive before the notification that their tasks are done.

    A request for each would cost the scheduler as much as the task itself. Receipts are pickles, like all that Dask
    sends: with TLS only a process that has the cluster's certificate, which its owner alone reads, can send one.

    Parameters
    ----------
    client : distributed.Client
        The driver's client; its id is the topic. The scheduler forgets the topic some time after the client has
        disconnected, and logs an error if the client was killed.
    """

    def __init__(self, client: Client) -> None:
        self.address: str = client.id
        self._client = client
        self._arrived: dict[Any, tuple[bytes, str]] = {}
        client.subscribe_topic(self.address, self._on_message)

    def look(self, key: Any) -> Any:
        """Return the receipt of a task that is done; it is still to be taken."""
        return pickle.loads(self._arrived[key][0])

    def take(self, key: Any) -> tuple[Any, str]:
        """Return the receipt of a task that is done, and the address of the worker that computed its result."""
        receipt, worker = self._arrived.pop(key)
        return pickle.loads(receipt), worker

    def forget(self, keys: Iterable[Any]) -> None:
        """Drop the receipts of cancelled tasks."""
        for key in keys:
            self._arrived.pop(key, None)

    def close(self) -> None:
        """Unsubscribe."""
        if self._client.status == "running":
            self._client.unsubscribe_topic(self.address)

    def _on_message(self, event: tuple[float, dict[str, Any]]) -> None:
        # The scheduler publishes events of its own under the id of a client.
        if "receipt" in event[1]:
            self._arrived[event[1]["key"]] = event[1]["receipt"], event[1]["worker"]


def send(address: str, value: HasReceipt) -> None:
    """Send the receipt of the running task's result to the driver; it arrives before the task counts as done.

    Parameters
    ----------
    address
        `Receipts.address`.
    """
    worker = get_worker()
    # The scheduler adds the worker's address.
    worker.log_event(address, {"key": worker.get_current_task(), "receipt": pickle.dumps(value.receipt)})
