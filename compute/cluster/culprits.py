"""Finds which of several items kill the worker that works on them."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from queue import Empty, SimpleQueue
from typing import Any, TypeVar
from uuid import uuid4

from distributed import get_worker

from ritz.compute.cluster.cluster import Cluster, WorkersLost
from ritz.compute.cluster.presence import CHECK_EVERY

Item = TypeVar("Item")

DEATHS = 3
"""How often an item kills a worker that works on nothing else before it is a culprit."""

SENT = 0.1
"""Seconds that a worker waits before it begins with an item: the message that names it must have left."""


def culprits(cluster: Cluster, role: str, function: Callable[[Item], object], items: Sequence[Item]) -> list[Item]:
    """Return which of some items kill the worker that runs ``function`` on them, one item after the other.

    Parameters
    ----------
    function
        Has to be harmless when it is run again.
    items
        In the order in which they are tried.

    Raises
    ------
    ritz.compute.cluster.errors.ClusterError
        If the scheduler is lost, or the role has had no worker for too long.
    Exception
        Raised by ``function``.
    """
    left, found = list(items), list[Item]()
    while left and (index := _first(cluster, role, function, left)) is not None:
        found.append(left.pop(index))
        # Those before it are harmless.
        del left[:index]
    return found


def _first(cluster: Cluster, role: str, function: Callable[[Item], object], items: Sequence[Item]) -> int | None:
    """Return the position of the first item that kills its worker `DEATHS` times, None if all can be worked on."""
    topic, begun = f"culprits-{uuid4().hex}", SimpleQueue[int]()
    with cluster.listen(topic, lambda message: begun.put(message["begun"])):
        future, done = cluster.submit(role, _one_by_one, topic, function, list(items)), threading.Event()
        future.add_done_callback(lambda _: done.set())
        times: Counter[int] = Counter()
        while not done.is_set():
            cluster.presence.check(role)
            try:
                index = begun.get(timeout=CHECK_EVERY)
            except Empty:
                continue
            times[index] += 1
            # It is begun once more after every death.
            if times[index] > DEATHS and index == max(times):
                cluster.cancel([future])
                return index
        try:
            cluster.result(future)
        except WorkersLost:
            # The scheduler has given up sooner: it allows fewer deaths per task.
            return max(times) if times else None
        return None


def _one_by_one(topic: str, function: Callable[[Any], object], items: Sequence[Any]) -> None:
    """Announce each item, and run ``function`` on it; on a worker."""
    worker = get_worker()
    for index, item in enumerate(items):
        worker.log_event(topic, {"message": {"begun": index}})
        time.sleep(SENT)
        function(item)
