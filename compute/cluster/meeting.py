from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlsplit
from uuid import uuid4

from distributed import Client, Queue, get_client, get_worker

from compute.cluster.channel import WAIT, watch


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


def meet(name: str, number: int, size: int, address: Callable[[str], Any]) -> Any:
    """Wait until all tasks of a meeting are at work, and return the address of the first of them.

    Dask starts a task anew when its worker dies; here it then finds that its place was taken. The others find out when
    they are connected, or are cancelled by whoever started them all.

    Parameters
    ----------
    name
        What `meeting` yielded.
    number, size
        Of this task, from 0, and how many there are.
    address
        Called by the first with the name of its host as workers know it; what it returns all get.

    Raises
    ------
    Missed
        If a task of this number was here before.
    compute.cluster.channel.Abandoned
        If nobody wants the result of this task any more.
    """
    client, check_wanted = get_client(), watch()
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
    if number:
        Queue(_seat(name, 0), client=client).put(number)
        return take()
    for _ in range(1, size):
        take()
    found = address(urlsplit(get_worker().address).hostname or "127.0.0.1")
    for other in range(1, size):
        Queue(_seat(name, other), client=client).put(found)
    return found


def _seat(name: str, number: int) -> str:
    """Return the name of the queue in which a task of a meeting gets what is for it."""
    return f"{name}-{number}"


_TICKET = "ticket"
