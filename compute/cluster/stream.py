from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from itertools import islice
from queue import Empty, SimpleQueue
from typing import Any, Generic, TypeVar

from distributed import Future

from ritz.compute.cluster.channel import Held
from ritz.compute.cluster.cluster import Cluster, WorkersLost
from ritz.compute.cluster.presence import CHECK_EVERY
from ritz.compute.cluster.receipts import HasReceipt, send

Item = TypeVar("Item")

WINDOWS = 4
"""Upper bound of a group, in windows of results, for a quick consumer."""


@dataclass(frozen=True)
class Completed(Generic[Item]):
    """A completed item.

    Attributes
    ----------
    item
        The argument of the task.
    receipt
        The small part of the result, on the driver.
    held
        The whole result, in the memory of the worker that computed it; computed again if that worker dies.
    """

    item: Item
    receipt: Any
    held: Held


def stream(
    cluster: Cluster,
    function: Callable[[Item], HasReceipt],
    items: Iterable[Item],
    *,
    window: int,
    role: str,
) -> Iterator[Completed[Item]]:
    """Run ``function`` over ``items`` on the workers of ``role`` and yield results as they complete.

    See `groups`; this yields their members one by one.
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
    every: Callable[[], float] = float,
    arrived: Callable[[Any], object] | None = None,
) -> Iterator[list[Completed[Item]]]:
    """Run ``function`` over ``items`` on the workers of ``role`` and yield the results completed since the last group.

    At most ``window`` items are in flight, and no task starts while the consumer has a group: a slow consumer slows the
    workers. The tasks of a dead worker are restarted on another, and so are those of its held results until these are
    released.

    Parameters
    ----------
    function
        Returns an object with a picklable attribute ``receipt``; the object itself stays on the worker.
    window
        Greater than 0.
    every
        Returns the seconds from one group to the next, for a consumer with a fixed cost per group; 0 yields at once.
        Meanwhile the workers go on until a window of results waits: such a full group is yielded at once. If the
        consumer is done with it before the next is due, the next full group is twice as large, up to `WINDOWS` windows.
        A slower consumer gets one window per group, so that the workers do not run far ahead of it.
    arrived
        Called with the receipt of each result before further items are taken, which may depend on it: its group may
        come much later.

    Raises
    ------
    ValueError
        If ``window`` is less than 1.
    WorkersLost
        If every worker that ran an item died.
    ritz.compute.cluster.errors.ClusterError
        If the scheduler is lost, or the role has had no worker for too long.
    Exception
        Raised by ``function``, with the item as a note; all tasks in flight are cancelled.
    """
    if window < 1:
        raise ValueError(f"window is {window}, expected at least 1: no task would ever start")
    client, waiting = cluster.client, iter(items)
    running: dict[Any, tuple[Item, Future[Any]]] = {}
    ended: SimpleQueue[Future[Any]] = SimpleQueue()

    def noted(future: Future[Any]) -> Any:
        if arrived is not None and future.status == "finished":
            arrived(cluster.receipts.look(future.key))
        return future.key

    def start(count: int) -> None:
        these = list(islice(waiting, count))
        if not these:
            return
        values = client.map(
            partial(_with_receipt, cluster.logs.of(function), cluster.receipts.address),
            these,
            key=function.__name__,
            resources=cluster.resources(role),
            pure=False,
        )
        for item, value in zip(these, values, strict=True):
            running[value.key] = (item, value)
            value.add_done_callback(ended.put)

    due, enough = float("-inf"), window
    try:
        start(window)
        while running:
            keys = [noted(_next(cluster, role, ended))]
            while True:
                keys += [noted(future) for future in _drained(ended)]
                left = due - time.monotonic()
                if left <= 0 or len(keys) >= enough:
                    break
                # Half a window per message: a message costs the scheduler as much for one task as for all of them.
                if len(running) - len(keys) <= window // 2:
                    start(window - (len(running) - len(keys)))
                if len(running) == len(keys):
                    break
                with suppress(Empty):
                    keys.append(noted(ended.get(timeout=left)))
            group = []
            for key in keys:
                _check(cluster, *running[key])
                item, value = running.pop(key)
                receipt, worker = cluster.receipts.take(key)
                group.append(Completed(item, receipt, Held(value, worker)))
                del value
            full, due = len(group) >= enough, time.monotonic() + every()
            yield group
            del group
            if time.monotonic() > due:
                enough = window
            elif full:
                enough = min(2 * enough, WINDOWS * window)
            start(window - len(running))
    finally:
        cluster.cancel([value for _, value in running.values()])
        cluster.receipts.forget(running)


def _next(cluster: Cluster, role: str, ended: SimpleQueue[Future[Any]]) -> Future[Any]:
    """Wait for the next future that is done; check meanwhile that the role has workers."""
    while True:
        cluster.presence.check(role)
        with suppress(Empty):
            return ended.get(timeout=CHECK_EVERY)


def _drained(queue: SimpleQueue[Future[Any]]) -> Iterator[Future[Any]]:
    with suppress(Empty):
        while True:
            yield queue.get_nowait()


def _check(cluster: Cluster, item: object, value: Future[Any]) -> None:
    """Raise the error of a task that has failed."""
    if value.status in ("error", "cancelled"):
        try:
            cluster.result(value)
        except Exception as error:
            error.add_note(f"while working on {item!r}")
            if isinstance(error, WorkersLost):
                error.item = item
            raise


def _with_receipt(function: Callable[[Item], HasReceipt], address: str, item: Item) -> HasReceipt:
    value = function(item)
    send(address, value)
    return value
