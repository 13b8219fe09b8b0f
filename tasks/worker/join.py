from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from socket import socket

from compute.cluster.meeting import meet
from compute.training.group import Alone, Group, connected, listening


@contextmanager
def joined(meeting: str | None, rank: int, ranks: int, device: str) -> Iterator[Group]:
    """Bring this task together with the other ranks of a training, and let go of them at the end.

    Parameters
    ----------
    meeting
        Where they meet, see `compute.cluster.meeting`; None for one that is alone.

    Raises
    ------
    compute.cluster.meeting.Missed, compute.training.group.PeerLost
        If one of them has died.
    compute.cluster.channel.Abandoned
        If nobody wants the result of this task any more.
    """
    if meeting is None:
        yield Alone()
        return
    opened: list[socket] = []

    def address(host: str) -> tuple[str, int]:
        opened.append(listening(host))
        return host, opened[0].getsockname()[1]

    host, port = meet(meeting, rank, ranks, address)
    with connected(rank, ranks, (host, port), device, *opened) as group:
        yield group
