from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from socket import socket

from ritz.compute.cluster.peers import Endpoint, connected, endpoint, listen
from ritz.compute.cluster.rendezvous import join
from ritz.compute.training.group import Alone, Group, PeerLost, grouped


@contextmanager
def joined(rendezvous: str | None, rank: int, ranks: int, device: str) -> Iterator[Group]:
    """Connect this task with the other ranks of a training, and disconnect it at the end.

    Parameters
    ----------
    rendezvous
        Name of the rendezvous of the ranks, see `ritz.compute.cluster.rendezvous`; None for a single rank.

    Raises
    ------
    ritz.compute.cluster.rendezvous.Missed, ritz.compute.training.group.PeerLost
        If one of the ranks has died.
    ritz.compute.cluster.connection.Unreached
        If the scheduler could not be reached.
    ritz.compute.cluster.consumer.Abandoned
        If the driver has died or has cancelled this task.
    """
    if rendezvous is None:
        yield Alone()
        return
    listeners: list[socket] = []

    def contribute(host: str) -> Endpoint:
        listeners.append(listen(host))
        return endpoint(rank, listeners[0])

    endpoints = [Endpoint(*fields) for fields in join(rendezvous, rank, ranks, contribute)]
    with ExitStack() as stack:
        try:
            peers = stack.enter_context(connected(rank, endpoints, *listeners))
        except OSError as error:
            raise PeerLost(f"rank {rank} of {ranks} did not find the others: {error}") from error
        yield stack.enter_context(grouped(rank, ranks, peers, device))
