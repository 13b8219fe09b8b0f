from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlsplit
from uuid import uuid4

from distributed import Client, Queue, get_worker

from ritz.compute.cluster.connection import task_client
from ritz.compute.cluster.consumer import POLL, watch


class Missed(RuntimeError):
    """A task joined a rendezvous that an earlier task of its number has joined: the worker of that task has died."""


@contextmanager
def rendezvous(client: Client, size: int) -> Iterator[str]:
    """Open a rendezvous that ``size`` tasks join once, each on a worker; the driver keeps it open while they work.

    Yields
    ------
    str
        Name under which the tasks `join`.
    """
    name = f"rendezvous-{uuid4().hex}"
    inboxes = [Queue(_inbox(name, number), client=client) for number in range(size)]
    for inbox in inboxes:
        inbox.put(_TOKEN)
    try:
        yield name
    finally:
        if client.status == "running":
            for inbox in inboxes:
                inbox.close()


def join(name: str, number: int, size: int, contribute: Callable[[str], Any]) -> list[Any]:
    """Wait until all tasks of a rendezvous are at work, and return their contributions in the order of their numbers.

    Dask restarts a task when its worker dies; the restarted task finds here that its number has been used. The other
    tasks notice when they connect, or the driver that started them cancels them.

    Parameters
    ----------
    name
        Yielded by `rendezvous`.
    number, size
        Number of this task, from 0, and number of tasks.
    contribute
        Called with the name of this task's host as workers know it; returns an object that the scheduler can send
        without a pickle: numbers, texts, tuples of them.

    Raises
    ------
    Missed
        If a task of this number has joined before.
    ritz.compute.cluster.connection.Unreached
        If the scheduler could not be reached.
    ritz.compute.cluster.consumer.Abandoned
        If the driver has died or has cancelled this task.
    """
    client, check_wanted = task_client(), watch()
    inbox = Queue(_inbox(name, number), client=client)

    def receive() -> Any:
        while True:
            check_wanted()
            try:
                return inbox.get(timeout=POLL)
            except TimeoutError:
                continue

    try:
        token = inbox.get(timeout=10 * POLL)
    except TimeoutError:
        token = None
    if token != _TOKEN:
        raise Missed(f"task {number} of {name} has joined before")
    contribution = contribute(urlsplit(get_worker().address).hostname or "127.0.0.1")
    if number:
        Queue(_inbox(name, 0), client=client).put((number, contribution))
        return list(receive())
    contributions = {0: contribution}
    while len(contributions) < size:
        other, received = receive()
        contributions[other] = received
    ordered = [contributions[other] for other in range(size)]
    for other in range(1, size):
        Queue(_inbox(name, other), client=client).put(ordered)
    return ordered


def _inbox(name: str, number: int) -> str:
    """Return the name of the queue that holds the messages for a task of a rendezvous."""
    return f"{name}-{number}"


_TOKEN = "token"
"""First message of every inbox; the task that takes it has joined."""
