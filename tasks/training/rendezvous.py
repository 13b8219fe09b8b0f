from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from socket import socket

from ritz.compute.cluster.meeting import meet
from ritz.compute.cluster.peers import Place, connected, listening, place
from ritz.compute.training.ranks.group import Alone, Group, PeerLost, grouped


@contextmanager
def joined(meeting: str | None, rank: int, ranks: int, device: str) -> Iterator[Group]:
    """Bring this task together with the other ranks of a training, and let go of them at the end.

    Parameters
    ----------
    meeting
        Where they meet, see `ritz.compute.cluster.meeting`; None for one that is alone.

    Raises
    ------
    ritz.compute.cluster.meeting.Missed, ritz.compute.training.ranks.group.PeerLost
        If one of them has died.
    ritz.compute.cluster.connection.Unreached
        If the scheduler could not be reached.
    ritz.compute.cluster.channel.Abandoned
        If nobody wants the result of this task any more.
    """
    if meeting is None:
        yield Alone()
        return
    opened: list[socket] = []

    def bring(host: str) -> Place:
        opened.append(listening(host))
        return place(rank, opened[0])

    places = [Place(*where) for where in meet(meeting, rank, ranks, bring)]
    with ExitStack() as stack:
        try:
            peers = stack.enter_context(connected(rank, places, *opened))
        except OSError as error:
            raise PeerLost(f"rank {rank} of {ranks} did not find the others: {error}") from error
        yield stack.enter_context(grouped(rank, ranks, peers, device))
