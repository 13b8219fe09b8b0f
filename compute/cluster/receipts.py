from __future__ import annotations

import pickle
from collections.abc import Iterable
from typing import Any, Protocol

from distributed import Client, get_worker


class HasReceipt(Protocol):
    """What a streamed function returns: a value that stays on its worker, with a small part for the driver."""

    @property
    def receipt(self) -> Any:
        """The small part."""


class Receipts:
    """The driver's end: small parts of results, which come with the news that their tasks are done.

    To ask workers for them would cost the scheduler as much as the tasks themselves. They are pickles, as all that Dask
    sends is in the end: with TLS only those who have the cluster's certificate, who are its owner, can send one.

    Parameters
    ----------
    client : distributed.Client
        The driver's client. What its workers say goes by its id, which the scheduler forgets some time after the client
        has gone; of one that was killed it logs that it could not be told so.
    """

    def __init__(self, client: Client) -> None:
        self.address: str = client.id
        self._client = client
        self._come: dict[Any, tuple[bytes, str]] = {}
        client.subscribe_topic(self.address, self._hear)

    def take(self, key: Any) -> tuple[Any, str]:
        """Return the receipt of a task that is done, and the worker that has, or had, its whole result."""
        receipt, worker = self._come.pop(key)
        return pickle.loads(receipt), worker

    def forget(self, keys: Iterable[Any]) -> None:
        """Drop what has come of tasks that nobody waits for any more."""
        for key in keys:
            self._come.pop(key, None)

    def close(self) -> None:
        """Listen no more."""
        if self._client.status == "running":
            self._client.unsubscribe_topic(self.address)

    def _hear(self, event: tuple[float, dict[str, Any]]) -> None:
        # The scheduler itself has something to say of a client, too.
        if "receipt" in event[1]:
            self._come[event[1]["key"]] = event[1]["receipt"], event[1]["worker"]


def send(address: str, value: HasReceipt) -> None:
    """Send the receipt of the running task's result to the driver; it is there before the news that the task is done.

    Parameters
    ----------
    address
        `Receipts.address`.
    """
    worker = get_worker()
    # The scheduler adds the worker's address.
    worker.log_event(address, {"key": worker.get_current_task(), "receipt": pickle.dumps(value.receipt)})
