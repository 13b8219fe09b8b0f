from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import islice
from queue import Empty, SimpleQueue
from typing import Any, Generic, Protocol, TypeVar

from distributed import Future, Worker

from compute.cluster.cluster import Cluster

Item = TypeVar("Item")

AGAIN = 0.1
"""Seconds after which is asked again for a receipt that was lost with its worker."""


class HasReceipt(Protocol):
    """What a streamed function returns: a value that stays on its worker, with a small part for the driver."""

    @property
    def receipt(self) -> Any:
        """The small part."""


@dataclass(frozen=True)
class Completed(Generic[Item]):
    """One finished piece of work.

    Attributes
    ----------
    item
        What was asked for.
    receipt
        The small part of the result, on the driver.
    held : distributed.Future
        The whole result, in the memory of the worker that made it; made again if that worker dies.
    """

    item: Item
    receipt: Any
    held: Future


def stream(
    cluster: Cluster,
    function: Callable[[Item], HasReceipt],
    items: Iterable[Item],
    *,
    window: int,
    role: str,
) -> Iterator[Completed[Item]]:
    """Run ``function`` over ``items`` on the workers of ``role`` and yield results as they complete.

    See `groups`, of which these are the members.
    """
    for group in groups(cluster, function, items, window=window, role=role):
        while group:
            yield group.pop(0)


def groups(
    cluster: Cluster,
    function: Callable[[Item], HasReceipt],
    items: Iterable[Item],
    *,
    window: int,
    role: str,
    every: float = 0.0,
) -> Iterator[list[Completed[Item]]]:
    """Run ``function`` over ``items`` on the workers of ``role`` and yield what has completed since the last time.

    At most ``window`` items are with workers, and nothing is started while the consumer has a group: a consumer that
    waits makes the workers wait. Work that a dead worker held is started again on another, and so is a held result
    until it is released.

    Parameters
    ----------
    function
        Returns an object with a picklable attribute ``receipt``; the rest of it stays on the worker.
    window
        Greater than 0.
    every
        Seconds from one group to the next, for a consumer whose work is done once a group; 0 for groups of what is
        there. Meanwhile the workers go on, until two windows wait: such a group comes at once.

    Raises
    ------
    WorkersLost
        If an item was tried on worker after worker and each died.
    Exception
        What ``function`` raised, with the item as a note; what is in flight is cancelled.
    """
    client, waiting = cluster.client, iter(items)
    running: dict[Any, tuple[Item, Future]] = {}
    ended: SimpleQueue[Future] = SimpleQueue()

    def start(count: int) -> None:
        # Less than none where a worker has died with results that waited.
        these = list(islice(waiting, max(0, count)))
        values = client.map(function, these, resources={role: 1}, pure=False) if these else []
        for item, value in zip(these, values, strict=True):
            running[value.key] = (item, value)
            value.add_done_callback(ended.put)

    last = float("-inf")
    try:
        start(window)
        while running:
            keys = [ended.get().key]
            while True:
                keys += [future.key for future in _drained(ended)]
                left = last + every - time.monotonic()
                if left <= 0 or len(keys) >= 2 * window:
                    break
                # Half a window at once: it costs the scheduler as much to be told of one as of all of them.
                if len(running) - len(keys) <= window // 2:
                    start(window - (len(running) - len(keys)))
                if len(running) == len(keys):
                    break
                with suppress(Empty):
                    keys.append(ended.get(timeout=left).key)
            group = []
            for key, receipt in _receipts(cluster, running, keys).items():
                item, value = running.pop(key)
                group.append(Completed(item, receipt, value))
            for key in [key for key in keys if key in running]:
                # Its worker has died since, which the scheduler may still have to find out; it is made again.
                running[key][1].add_done_callback(ended.put)
            if not group:
                time.sleep(AGAIN)
            else:
                last = time.monotonic()
                yield group
                del group
            start(window - len(running))
    finally:
        if client.status == "running":
            client.cancel([value for _, value in running.values()])


def _drained(queue: SimpleQueue[Future]) -> Iterator[Future]:
    with suppress(Empty):
        while True:
            yield queue.get_nowait()


def _receipts(cluster: Cluster, running: Mapping[Any, tuple[Item, Future]], keys: Sequence[Any]) -> dict[Any, Any]:
    """Return the receipts of what has ended, by key, and nothing of those that are lost.

    One question to each worker: a task a receipt costs the scheduler as much as the work's own.
    """
    values = [running[key][1] for key in keys]
    for key, value in zip(keys, values, strict=True):
        if value.status in ("error", "cancelled"):
            try:
                cluster.result(value)
            except Exception as error:
                error.add_note(f"while working on {running[key][0]!r}")
                raise
    holders = {address for held in cluster.client.who_has(values).values() for address in held}
    if not holders:
        return {}
    receipts: dict[Any, Any] = {}
    for answer in cluster.client.run(_held, keys, workers=list(holders), on_error="return").values():
        # One that does not answer has died.
        if isinstance(answer, Exception) and not isinstance(answer, OSError):
            raise answer
        if not isinstance(answer, Exception):
            receipts |= answer
    return receipts


def _held(keys: Sequence[Any], dask_worker: Worker) -> dict[Any, Any]:
    data: Any = dask_worker.data
    return {key: data[key].receipt for key in keys if key in data}
