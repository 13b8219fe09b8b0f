"""The consumer's end of a channel: a task on a worker that receives what the driver has put into its queue."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from queue import Empty, SimpleQueue
from typing import Any
from uuid import uuid4

from distributed import Client, get_worker
from distributed.utils_comm import gather_from_workers

from ritz.compute.cluster.channel import notifications
from ritz.compute.cluster.connection import task_client

POLL = 0.2
"""Seconds that a consumer waits at an empty queue before it checks whether its task is still wanted."""

RETRY = 0.05
"""Seconds from one request to the next for a value that is being computed again."""

TIMEOUT = 1.0
"""Seconds that a worker has to answer before the scheduler is asked which others hold the value; doubled every time."""

LONGEST_TIMEOUT = 30.0
"""Upper bound of the doubled `TIMEOUT`."""

IDLE = 3.0
"""Seconds without a value after which `receive` yields None."""


class Abandoned(RuntimeError):
    """The result of a task is not wanted any more: the driver that started the task has died or has cancelled it."""


class ConsumerQueue:
    """A consumer's end of a queue of a channel: the keys of the values that the driver puts into it.

    Parameters
    ----------
    name, number
        Name of the channel, and number of the queue in it.
    client : distributed.Client
        Receives the keys.
    publish
        Sends a message on a topic: a worker's ``log_event``, or a client's.
    """

    def __init__(self, name: str, number: int, client: Client, publish: Callable[[str, Any], object]) -> None:
        self.name, self.number = name, number
        self._client, self._publish = client, publish
        self._topic = f"{name}-{number}-{uuid4().hex}"
        self._subscribed, self._answered = threading.Event(), threading.Event()
        self._arrived: SimpleQueue[tuple[str, list[str], bool]] = SimpleQueue()
        self._seen: set[str] = set()
        self._unacknowledged: list[str] = []
        self._ends_message = False
        client.subscribe_topic(self._topic, self._on_message)

    def take(self) -> tuple[str, list[str]] | None:
        """Return the next key and the workers known to hold its value; None after `POLL` seconds without one."""
        if not self._subscribed.is_set():
            # A message of the driver would be lost as long as the scheduler does not know of this subscription.
            self._publish(self._topic, {"listens": True})
            if not self._subscribed.wait(POLL):
                return None
        if not self._answered.is_set():
            self._notify(began=self._topic)
        try:
            key, holders, self._ends_message = self._arrived.get(timeout=POLL)
        except Empty:
            return None
        self._unacknowledged.append(key)
        if key in self._seen:
            self.acknowledge()
            return None
        self._seen.add(key)
        return key, holders

    def acknowledge(self) -> None:
        """Acknowledge the values of a message once the last of them has been fetched; the driver then releases them."""
        if self._ends_message:
            self._notify(took=self._unacknowledged)
            self._unacknowledged = []

    def close(self) -> None:
        """Unsubscribe."""
        self._client.unsubscribe_topic(self._topic)

    def _on_message(self, event: tuple[float, dict[str, Any]]) -> None:
        if "listens" in event[1]:
            self._subscribed.set()
            return
        self._answered.set()
        values = event[1]["values"]
        for number, (key, holders) in enumerate(values, 1):
            self._arrived.put((key, holders, number == len(values)))

    def _notify(self, **message: Any) -> None:
        self._publish(notifications(self.name), {"queue": self.number, **message})


def receive(name: str, queue: int = 0) -> Iterator[Any]:
    """Yield the values of a queue of channel ``name`` without end; runs inside the consumer's task on a worker.

    The next value is fetched while the consumer works on the current one. The iterator yields None after `IDLE` seconds
    without a value, so that the consumer can read from the store what was lost with an earlier driver or consumer.

    Raises
    ------
    Abandoned
        If the driver has died or has cancelled this task.
    ritz.compute.cluster.connection.Unreached
        If the scheduler could not be reached.
    """
    # Dask knows in the task's own thread alone which task runs.
    client, check_wanted, left = task_client(), watch(), threading.Event()
    keys = ConsumerQueue(name, queue, client, get_worker().log_event)

    def take() -> Any:
        until = time.monotonic() + IDLE
        while time.monotonic() < until and not left.is_set():
            check_wanted()
            entry = keys.take()
            if entry is not None:
                value = _fetch(client, *entry, check_wanted)
                keys.acknowledge()
                return value
        return None

    with ThreadPoolExecutor(1, thread_name_prefix="receive") as pool:
        try:
            ahead = pool.submit(take)
            while True:
                value = ahead.result()
                ahead = pool.submit(take)
                yield value
                del value
        finally:
            left.set()
            keys.close()


def watch() -> Callable[[], None]:
    """Return a function that raises `Abandoned` once the result of the calling task is not wanted any more."""
    worker, key = get_worker(), get_worker().get_current_task()

    def check() -> None:
        task = worker.state.tasks.get(key)
        if task is None or task.state == "cancelled":
            raise Abandoned(f"nobody waits for task {key!r} any more")

    return check


def _fetch(client: Client, key: str, holders: Sequence[str], check_wanted: Callable[[], None]) -> Any:
    """Return the value of a key that the driver holds, from a worker that has it."""
    scheduler: Any = client.scheduler
    timeout = TIMEOUT
    while True:
        values = client.sync(_gather, client, key, holders, timeout)
        if key in values:
            return values[key]
        # The scheduler knows which workers hold the value now, or has it computed again.
        check_wanted()
        time.sleep(RETRY)
        # On an overloaded machine a live worker may take longer, too: it has to verify certificates.
        timeout = min(2 * timeout, LONGEST_TIMEOUT)
        holders = client.sync(scheduler.who_has, keys=[key]).get(key, ())


async def _gather(client: Client, key: str, holders: Sequence[str], timeout: float) -> dict[Any, Any]:
    """Return the value of a key by that key, empty if none of the workers has it and answers in time."""
    reached = []
    for address in holders:
        with suppress(OSError):
            # Dask itself would try a dead worker for half a minute.
            client.rpc.reuse(address, await client.rpc.connect(address, timeout=timeout))
            reached.append(address)
    values, *_ = await gather_from_workers({key: reached}, rpc=client.rpc)
    return values
