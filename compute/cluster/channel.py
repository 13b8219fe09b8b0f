from __future__ import annotations

import threading
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from queue import Empty, SimpleQueue
from typing import Any
from uuid import uuid4

from distributed import Client, Future, get_worker
from distributed.utils_comm import gather_from_workers

from ritz.compute.cluster.connection import task_client

WAIT = 0.2
"""Seconds that a consumer waits at an empty channel before it looks whether it is still wanted."""

AGAIN = 0.05
"""Seconds after which is asked again for a value that is being made again."""

REACH = 1.0
"""Seconds that a worker may take to answer before the scheduler is asked where else a value is; doubled every time."""

FURTHEST = 30.0
"""What `REACH` comes to at most."""

IDLE = 3.0
"""Seconds without a value after which `receive` says so."""


class ConsumerFailed(RuntimeError):
    """The consumer of a channel has stopped with an error while the producer still had something for it."""


class ProducerFailed(RuntimeError):
    """The producer of a channel has stopped with an error before everything was sent."""


@dataclass(frozen=True)
class Held:
    """A value in the memory of a worker, for as long as somebody has this.

    Attributes
    ----------
    future : distributed.Future
        Stands for the value.
    worker : str
        Address of the worker that made it; another one makes it again where that has died.
    """

    future: Future[Any]
    worker: str


class Channel:
    """The driver's end of bounded lines of results to consumer tasks, one each; only their keys pass through here.

    The values stay in the memory of the workers that made them until the consumer fetches them, worker to
    worker, and says so: until then they are held here, and sent again to a consumer that begins in the place of one
    that has died. A full lane makes the producer wait: that is the back-pressure of a slow trainer on the solvers. Only
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
        self._client = client
        self._consumer_failed = False
        self._consumer_ended = threading.Event()
        self._producer_failed = threading.Event()
        self._held: list[dict[str, Future[Any]]] = [{} for _ in range(lanes)]
        self._consumers = [""] * lanes
        self._changed = threading.Condition()
        client.subscribe_topic(said(name), self._hear)

    def put(self, values: list[Held], lane: int = 0) -> None:
        """Hand values over, in their order; wait while the lane is full.

        A message to a consumer, and its answer, cost the scheduler as much for one value as for a lane full of them, so
        several go together, as soon as there is room for all or the lane is empty. Meanwhile the consumer works on what
        it has fetched ahead. They are taken out of the list, so that what has been fetched is held by nobody here.
        Nothing is sent to consumers that have finished.

        Raises
        ------
        ConsumerFailed
            If `consumer_failed` was called: nobody will take it.
        """
        while values:
            with self._changed:
                self._wait_for_room(lane, min(len(values), self.capacity))
                if self._consumer_failed:
                    raise ConsumerFailed(f"the consumer of channel {self.name!r} has failed; see its own error")
                if self._consumer_ended.is_set():
                    values.clear()
                    return
                now, values[:] = values[: self.capacity], values[self.capacity :]
                self._held[lane] |= {str(one.future.key): one.future for one in now}
                consumer = self._consumers[lane]
            if consumer:
                self._client.log_event(consumer, {"values": [[one.future.key, [one.worker]] for one in now]})
            del now

    def consumer_failed(self) -> None:
        """Say that the consumer is gone for good, so that a waiting producer stops."""
        self._consumer_failed = True
        self.consumer_finished()

    def consumer_finished(self) -> None:
        """Say that the consumer has all it wanted, maybe from elsewhere, so that a waiting producer goes on."""
        self._consumer_ended.set()
        self._let_go()

    def producer_failed(self) -> None:
        """Say that nothing more will come, so that whoever waits for the consumer stops it."""
        self._producer_failed.set()

    @property
    def is_fed(self) -> bool:
        """Whether the producer still works, or has finished well."""
        return not self._producer_failed.is_set()

    def _wait_for_room(self, lane: int, count: int) -> None:
        self._changed.wait_for(lambda: self._room(lane) >= count or self._consumer_ended.is_set())

    def _room(self, lane: int) -> int:
        """Return how many values more may be put into a lane now."""
        others = self._held[:lane] + self._held[lane + 1 :]
        return self.capacity - len(self._held[lane]) if all(others) else self.capacity

    def _hear(self, event: tuple[float, dict[str, Any]]) -> Awaitable[None] | None:
        """Take note of what a consumer said; runs in the thread of the client, where an answer is to be awaited."""
        lane, message = event[1]["lane"], event[1]
        with self._changed:
            if "took" in message:
                for key in message["took"]:
                    self._held[lane].pop(key, None)
                self._changed.notify_all()
                return None
            self._consumers[lane] = message["began"]
            # Where they are now may have changed since they were put. Without any this is an answer all the same.
            values = [[key, []] for key in self._held[lane]]
        result: Awaitable[None] | None = self._client.log_event(message["began"], {"values": values})
        return result

    def _let_go(self) -> None:
        with self._changed:
            for held in self._held:
                held.clear()
            self._changed.notify_all()

    def close(self) -> None:
        """Drop the channel and what waits in it."""
        if self._client.status == "running":
            self._client.unsubscribe_topic(said(self.name))
        self._let_go()


class Lane:
    """A consumer's end of a lane: the keys of the values that are put into it.

    Parameters
    ----------
    name, number
        Of the channel, and which of its lanes.
    client : distributed.Client
        On which the keys come.
    say
        Sends a message on a topic: a worker's ``log_event``, or a client's.
    """

    def __init__(self, name: str, number: int, client: Client, say: Callable[[str, Any], object]) -> None:
        self.name, self.number = name, number
        self._client, self._say = client, say
        self._me, self._listens, self._answered = f"{name}-{number}-{uuid4().hex}", threading.Event(), threading.Event()
        self._coming: SimpleQueue[tuple[str, list[str], bool]] = SimpleQueue()
        self._seen: set[str] = set()
        self._taken: list[str] = []
        self._last = False
        client.subscribe_topic(self._me, self._hear)

    def take(self) -> tuple[str, list[str]] | None:
        """Return the next key and the workers that hold its value, as far as that is known; None after a while."""
        if not self._listens.is_set():
            # Until the scheduler knows who listens here, what the driver says would be lost.
            self._say(self._me, {"listens": True})
            if not self._listens.wait(WAIT):
                return None
        if not self._answered.is_set():
            self._tell(began=self._me)
        try:
            key, holders, self._last = self._coming.get(timeout=WAIT)
        except Empty:
            return None
        self._taken.append(key)
        if key in self._seen:
            self.took()
            return None
        self._seen.add(key)
        return key, holders

    def took(self) -> None:
        """Say that the value of the key has come; those that came in one message need not be held any more then."""
        if self._last:
            self._tell(took=self._taken)
            self._taken = []

    def close(self) -> None:
        """Listen no more."""
        self._client.unsubscribe_topic(self._me)

    def _hear(self, event: tuple[float, dict[str, Any]]) -> None:
        if "listens" in event[1]:
            self._listens.set()
            return
        self._answered.set()
        values = event[1]["values"]
        for number, (key, holders) in enumerate(values, 1):
            self._coming.put((key, holders, number == len(values)))

    def _tell(self, **message: Any) -> None:
        self._say(said(self.name), {"lane": self.number, **message})


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
    ritz.compute.cluster.connection.Unreached
        If the scheduler could not be reached.
    """
    # Where a task runs is known in its own thread alone.
    client, check_wanted, left = task_client(), watch(), threading.Event()
    keys = Lane(name, lane, client, get_worker().log_event)

    def take() -> Any:
        until = time.monotonic() + IDLE
        while time.monotonic() < until and not left.is_set():
            check_wanted()
            next_one = keys.take()
            if next_one is not None:
                value = _fetch(client, *next_one, check_wanted)
                keys.took()
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


def _fetch(client: Client, key: str, holders: Sequence[str], check_wanted: Callable[[], None]) -> Any:
    """Return the value of a key that the driver holds, from a worker that has it."""
    scheduler: Any = client.scheduler
    reach = REACH
    while True:
        found = client.sync(_gather, client, key, holders, reach)
        if key in found:
            return found[key]
        # The scheduler knows where it is now, or has it made again.
        check_wanted()
        time.sleep(AGAIN)
        # On a machine that has too much to do a live one may take longer, too: certificates have to be looked at.
        reach = min(2 * reach, FURTHEST)
        holders = client.sync(scheduler.who_has, keys=[key]).get(key, ())


async def _gather(client: Client, key: str, holders: Sequence[str], reach: float) -> dict[Any, Any]:
    """Return the value of a key if one of some workers has it and can be reached soon."""
    reached = []
    for address in holders:
        with suppress(OSError):
            # One that has died would be called for half a minute.
            client.rpc.reuse(address, await client.rpc.connect(address, timeout=reach))
            reached.append(address)
    found, *_ = await gather_from_workers({key: reached}, rpc=client.rpc)
    return found


def watch() -> Callable[[], None]:
    """Return what raises `Abandoned` when nobody wants the result of the task any more that calls this now."""
    worker, key = get_worker(), get_worker().get_current_task()

    def check() -> None:
        task = worker.state.tasks.get(key)
        if task is None or task.state == "cancelled":
            raise Abandoned(f"nobody waits for task {key!r} any more")

    return check


def said(name: str) -> str:
    """Return the topic on which the consumers of a channel say that they have begun, and what they took."""
    return f"{name}-said"
