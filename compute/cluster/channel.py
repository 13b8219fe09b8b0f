from __future__ import annotations

import threading
from collections.abc import Awaitable
from dataclasses import dataclass
from typing import Any

from distributed import Client, Future


class ConsumerFailed(RuntimeError):
    """The consumer of a channel has stopped with an error while the producer still had values for it."""


class ProducerFailed(RuntimeError):
    """The producer of a channel has stopped with an error before it had sent everything."""


@dataclass(frozen=True)
class Held:
    """A value that stays in the memory of a worker as long as this object exists.

    Attributes
    ----------
    future : distributed.Future
        Reference to the value.
    worker : str
        Address of the worker that computed the value; Dask computes it again on another worker if that one dies.
    """

    future: Future[Any]
    worker: str


class Channel:
    """The driver's end of bounded queues of results, one queue per consumer task; only keys pass through the driver.

    The values stay in the memory of the workers that computed them until the consumer has fetched them, worker to
    worker, and has acknowledged them. Until then the driver holds them, and sends their keys again to a consumer that
    takes the place of a dead one. A full queue blocks the producer: this is the back-pressure of a slow trainer on the
    solvers. It does not block while another queue is empty, so that consumers that work in step never wait for a value
    that is stuck behind another consumer's; a queue then exceeds its capacity by what is in flight.

    Parameters
    ----------
    client : distributed.Client
        The driver's client.
    name : str
        Name under which the consumers call `ritz.compute.cluster.consumer.receive`.
    capacity : int
        How many values a queue holds.
    queues : int
        Number of queues, one per consumer.
    """

    def __init__(self, client: Client, name: str, capacity: int, queues: int = 1) -> None:
        self.name, self.capacity, self.queues = name, capacity, queues
        self._client = client
        self._consumer_failed = False
        self._consumer_ended = threading.Event()
        self._producer_failed = threading.Event()
        self._held: list[dict[str, Future[Any]]] = [{} for _ in range(queues)]
        self._consumers = [""] * queues
        self._changed = threading.Condition()
        client.subscribe_topic(notifications(name), self._on_notification)

    def put(self, values: list[Held], queue: int = 0) -> None:
        """Append values to a queue in their order; block while the queue is full.

        A message to a consumer and its acknowledgement cost the scheduler as much for one value as for a full queue,
        so several values share a message as soon as there is room for all of them or the queue is empty. Meanwhile the
        consumer works on the values that it has fetched ahead. The values are removed from the list, so that the caller
        does not hold values that have been fetched. Consumers that have finished get no message.

        Raises
        ------
        ConsumerFailed
            If `consumer_failed` was called.
        """
        while values:
            with self._changed:
                self._wait_for_room(queue, min(len(values), self.capacity))
                if self._consumer_failed:
                    raise ConsumerFailed(f"the consumer of channel {self.name!r} has failed; see its own error")
                if self._consumer_ended.is_set():
                    values.clear()
                    return
                batch, values[:] = values[: self.capacity], values[self.capacity :]
                self._held[queue] |= {str(value.future.key): value.future for value in batch}
                consumer = self._consumers[queue]
            if consumer:
                self._client.log_event(consumer, {"values": [[value.future.key, [value.worker]] for value in batch]})
            del batch

    def consumer_failed(self) -> None:
        """Mark the consumer as failed for good; a blocked producer stops."""
        self._consumer_failed = True
        self.consumer_finished()

    def consumer_finished(self) -> None:
        """Mark the consumer as finished, whatever is left in its queue; a blocked producer goes on."""
        self._consumer_ended.set()
        self._release()

    def producer_failed(self) -> None:
        """Mark the producer as failed; the stage that waits for the consumer stops it."""
        self._producer_failed.set()

    @property
    def is_fed(self) -> bool:
        """Whether the producer still works, or has finished well."""
        return not self._producer_failed.is_set()

    def _wait_for_room(self, queue: int, count: int) -> None:
        self._changed.wait_for(lambda: self._room(queue) >= count or self._consumer_ended.is_set())

    def _room(self, queue: int) -> int:
        """Return how many more values a queue takes now."""
        others = self._held[:queue] + self._held[queue + 1 :]
        return self.capacity - len(self._held[queue]) if all(others) else self.capacity

    def _on_notification(self, event: tuple[float, dict[str, Any]]) -> Awaitable[None] | None:
        """Handle the notification of a consumer in the client's thread, where the returned answer is to be awaited."""
        queue, message = event[1]["queue"], event[1]
        with self._changed:
            if "took" in message:
                for key in message["took"]:
                    self._held[queue].pop(key, None)
                self._changed.notify_all()
                return None
            self._consumers[queue] = message["began"]
            # The workers that hold the values may have changed since `put`. An empty list is an answer all the same.
            values = [[key, []] for key in self._held[queue]]
        result: Awaitable[None] | None = self._client.log_event(message["began"], {"values": values})
        return result

    def _release(self) -> None:
        with self._changed:
            for held in self._held:
                held.clear()
            self._changed.notify_all()

    def close(self) -> None:
        """Unsubscribe, and release all values that wait in the queues."""
        if self._client.status == "running":
            self._client.unsubscribe_topic(notifications(self.name))
        self._release()


def notifications(name: str) -> str:
    """Return the topic on which the consumers of a channel announce themselves and acknowledge values."""
    return f"{name}-said"
