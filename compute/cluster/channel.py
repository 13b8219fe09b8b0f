from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from distributed import Client, Future, Queue, get_client, get_worker

WAIT = 0.2
"""Seconds that a consumer waits at an empty channel before it looks whether it is still wanted."""

LOOK = 1.0
"""Seconds between two looks of a producer at a channel that is full; it is woken when a value is taken."""

IDLE = 3.0
"""Seconds without a value after which `receive` says so."""


class ConsumerFailed(RuntimeError):
    """The consumer of a channel has stopped with an error while the producer still had something for it."""


class ProducerFailed(RuntimeError):
    """The producer of a channel has stopped with an error before everything was sent."""


class Channel:
    """The driver's end of bounded lines of futures to consumer tasks, one each; only references pass through here.

    The values stay in the memory of the workers that made them until the consumer fetches them, worker to
    worker. A full lane makes the producer wait: that is the back-pressure of a slow trainer on the solvers. Only
    while another lane is empty it does not, so that consumers that work together never wait for what stands behind
    a value for the one that waits for them; a lane is then longer by what is in flight.

    Parameters
    ----------
    client : distributed.Client
        The driver's client.
    name : str
        Name under which the consumers call `receive`.
    capacity : int
        How many values may wait in a lane.
    lanes : int
        How many consumers there are.
    """

    def __init__(self, client: Client, name: str, capacity: int, lanes: int = 1) -> None:
        self.name, self.capacity, self.lanes = name, capacity, lanes
        # Unbounded for Dask, bounded here: a put that times out in the scheduler leaves its reference behind.
        self._queues = [Queue(line(name, lane), client=client) for lane in range(lanes)]
        self._client = client
        self._consumer_failed = False
        self._consumer_ended = threading.Event()
        self._producer_failed = threading.Event()
        # How many wait at most: a consumer may have taken some without a word, by dying.
        self._waiting = [0] * lanes
        self._changed = threading.Condition()
        client.subscribe_topic(taken(name), lambda event: self._one_less(event[1]["lane"]))

    def put(self, future: Future, lane: int = 0) -> None:
        """Hand a future over; wait while the lane is full. Nothing is sent to consumers that have finished.

        Raises
        ------
        ConsumerFailed
            If `consumer_failed` was called: nobody will take it.
        """
        while not self._wait_for_room(lane):
            # Without the lock: the answer comes through the thread that counts what is taken.
            waiting = [queue.qsize() for queue in self._queues]
            with self._changed:
                self._waiting = waiting
        if self._consumer_failed:
            raise ConsumerFailed(f"the consumer of channel {self.name!r} has failed; see its own error")
        if not self._consumer_ended.is_set():
            with self._changed:
                self._waiting[lane] += 1
            self._queues[lane].put(future)

    def consumer_failed(self) -> None:
        """Say that the consumer is gone for good, so that a waiting producer stops."""
        self._consumer_failed = True
        self.consumer_finished()

    def consumer_finished(self) -> None:
        """Say that the consumer has all it wanted, maybe from elsewhere, so that a waiting producer goes on."""
        self._consumer_ended.set()
        with self._changed:
            self._changed.notify_all()

    def producer_failed(self) -> None:
        """Say that nothing more will come, so that whoever waits for the consumer stops it."""
        self._producer_failed.set()

    @property
    def is_fed(self) -> bool:
        """Whether the producer still works, or has finished well."""
        return not self._producer_failed.is_set()

    def _wait_for_room(self, lane: int) -> bool:
        """Return whether there is room, or nobody left to need it, after a while at most."""

        def room() -> bool:
            others = self._waiting[:lane] + self._waiting[lane + 1 :]
            return self._waiting[lane] < self.capacity or 0 in others or self._consumer_ended.is_set()

        with self._changed:
            return self._changed.wait_for(room, timeout=LOOK)

    def _one_less(self, lane: int) -> None:
        with self._changed:
            self._waiting[lane] = max(0, self._waiting[lane] - 1)
            self._changed.notify_all()

    def close(self) -> None:
        """Drop the channel and what waits in it."""
        if self._client.status == "running":
            self._client.unsubscribe_topic(taken(self.name))
        for queue in self._queues:
            queue.close()


class Abandoned(RuntimeError):
    """Nobody wants the result of a task any more: the driver that started it has gone away, or has given it up."""


def receive(name: str, lane: int = 0) -> Iterator[Any]:
    """Yield the values in a lane of channel ``name`` without end; runs inside the consumer's task on a worker.

    One value is fetched ahead, while the consumer works on the one before. Yields None where nothing has come for a
    while, so that the consumer can look elsewhere for what was lost with an earlier driver or consumer.

    Raises
    ------
    Abandoned
        If nobody wants this task's result any more: the driver has died or cancelled it.
    """
    # Where a task runs is known in its own thread alone.
    worker, client, check_wanted = get_worker(), get_client(), watch()
    queue, left = Queue(line(name, lane), client=client), threading.Event()

    def take() -> Any:
        until = time.monotonic() + IDLE
        while time.monotonic() < until and not left.is_set():
            check_wanted()
            with client.as_current():
                try:
                    future = queue.get(timeout=WAIT)
                except TimeoutError:
                    continue
                worker.log_event(taken(name), {"lane": lane})
                value = future.result()
                future.release()
            return value
        return None

    with ThreadPoolExecutor(1, thread_name_prefix="receive") as pool:
        try:
            coming = pool.submit(take)
            while True:
                value = coming.result()
                coming = pool.submit(take)
                yield value
        finally:
            left.set()


def watch() -> Callable[[], None]:
    """Return what raises `Abandoned` when nobody wants the result of the task any more that calls this now."""
    worker, key = get_worker(), get_worker().get_current_task()

    def check() -> None:
        task = worker.state.tasks.get(key)
        if task is None or task.state == "cancelled":
            raise Abandoned(f"nobody waits for task {key!r} any more")

    return check


def taken(name: str) -> str:
    """Return the topic on which the consumer of a channel says that it has taken a value."""
    return f"{name}-taken"


def line(name: str, lane: int) -> str:
    """Return the name of the queue of a lane."""
    return f"{name}-{lane}"
