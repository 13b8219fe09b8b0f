from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlsplit
from uuid import uuid4

from distributed import Client, Queue, get_worker

from ritz.compute.cluster.channel import WAIT, watch
from ritz.compute.cluster.connection import task_client


class Missed(RuntimeError):
    """A task came to a meeting that had begun without it: the one that was there in its place has died."""


@contextmanager
def meeting(client: Client, size: int) -> Iterator[str]:
    """Let ``size`` tasks come together once, each on a worker: the driver's part, around their whole work.

    Yields
    ------
    str
        Name under which they `meet`.
    """
    name = f"meeting-{uuid4().hex}"
    queues = [Queue(_seat(name, number), client=client) for number in range(size)]
    for queue in queues:
        queue.put(_TICKET)
    try:
        yield name
    finally:
        if client.status == "running":
            for queue in queues:
                queue.close()


def meet(name: str, number: int, size: int, bring: Callable[[str], Any]) -> list[Any]:
    """Wait until all tasks of a meeting are at work, and return what each of them brings, in their order.

    Dask starts a task anew when its worker dies; here it then finds that its place was taken. The others find out when
    they are connected, or are cancelled by whoever started them all.

    Parameters
    ----------
    name
        What `meeting` yielded.
    number, size
        Of this task, from 0, and how many there are.
    bring
        Called with the name of this task's host as workers know it; returns what the scheduler can send without a
        pickle: numbers, texts, tuples of them.

    Raises
    ------
    Missed
        If a task of this number was here before.
    ritz.compute.cluster.connection.Unreached
        If the scheduler could not be reached.
    ritz.compute.cluster.channel.Abandoned
        If nobody wants the result of this task any more.
    """
    client, check_wanted = task_client(), watch()
    mine = Queue(_seat(name, number), client=client)

    def take() -> Any:
        while True:
            check_wanted()
            try:
                return mine.get(timeout=WAIT)
            except TimeoutError:
                continue

    try:
        first = mine.get(timeout=10 * WAIT)
    except TimeoutError:
        first = None
    if first != _TICKET:
        raise Missed(f"task {number} of {name} was here before")
    brought = bring(urlsplit(get_worker().address).hostname or "127.0.0.1")
    if number:
        Queue(_seat(name, 0), client=client).put((number, brought))
        return list(take())
    everything = {0: brought}
    while len(everything) < size:
        other, theirs = take()
        everything[other] = theirs
    ordered = [everything[other] for other in range(size)]
    for other in range(1, size):
        Queue(_seat(name, other), client=client).put(ordered)
    return ordered


def _seat(name: str, number: int) -> str:
    """Return the name of the queue in which a task of a meeting gets what is for it."""
    return f"{name}-{number}"


_TICKET = "ticket"
