from __future__ import annotations

import socket
import struct
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from queue import Empty, SimpleQueue
from ssl import SSLContext
from threading import Event, Thread
from typing import NamedTuple

from ritz.compute.cluster.encryption import Certificate

START = 60.0
"""Seconds that tasks which are all at work wait for each other when they connect."""

GREETING = 10.0
"""Seconds that one that calls has to show its certificate."""

LOOK = 0.2
"""Seconds between two looks whether all have called."""

_NUMBER = struct.Struct("<I")
"""What the one that calls says first, and what it hears then: its own number."""


class Place(NamedTuple):
    """Where a task is found by the others of its meeting; a tuple, so that Dask can send it without a pickle.

    Attributes
    ----------
    certificate, key
        Made by the first of them, for this meeting alone; empty of the others.
    """

    host: str
    port: int
    certificate: str = ""
    key: str = ""


def listening(host: str) -> socket.socket:
    """Return a socket on a free port of ``host`` and of no other interface."""
    return socket.create_server((host, 0), family=socket.AF_INET6 if ":" in host else socket.AF_INET)


def place(number: int, listener: socket.socket) -> Place:
    """Return where a task of this number is found, with the certificate of the meeting if it is the first."""
    host, port, *_ = listener.getsockname()
    return Place(host, port, *(Certificate.temporary() if number == 0 else ()))


@contextmanager
def connected(number: int, places: Sequence[Place], listener: socket.socket) -> Iterator[dict[int, socket.socket]]:
    """Connect a task with each of the others of a meeting, which all call this now, and let go of them at the end.

    Both ends of a connection have shown the certificate of the meeting: that came to them by their scheduler, so who is
    not of the meeting can neither take a place in it nor read or change what is said. Whoever else calls is hung up on.
    Nobody listens any more when all are connected.

    Parameters
    ----------
    number
        Of this task.
    places
        Of all tasks, in the order of their numbers (see `place`).
    listener
        At this task's place; it is closed.

    Yields
    ------
    dict
        A stream socket for the number of every other task; blocking, with a timeout of `START`.

    Raises
    ------
    OSError
        If not all of them come in `START` seconds.
    """
    certificate = Certificate(places[0].certificate, places[0].key)
    until = time.monotonic() + START
    peers: dict[int, socket.socket] = {}
    with ExitStack() as stack:
        with _called(listener, certificate.listens()) as called:
            # Those before this one are called, those behind it call.
            for other in range(number):
                peers[other] = stack.enter_context(_call(places[other], number, certificate.calls()))
            while missing := set(range(number + 1, len(places))) - set(peers):
                if time.monotonic() > until:
                    raise TimeoutError(f"task {min(missing)} did not call within {START:g} s")
                with suppress(Empty):
                    other, peer = called(LOOK)
                    peers[other] = stack.enter_context(peer)
        for peer in peers.values():
            peer.settimeout(START)
            peer.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            peer.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        yield peers


def _call(of: Place, number: int, context: SSLContext) -> socket.socket:
    """Return a connection to a task whose number is smaller."""
    peer = context.wrap_socket(socket.create_connection((of.host, of.port), timeout=START))
    peer.sendall(_NUMBER.pack(number))
    # Only now is it sure that the other end has taken the certificate.
    if peer.recv(_NUMBER.size) != _NUMBER.pack(number):
        peer.close()
        raise ConnectionRefusedError(f"the task at {of.host}:{of.port} has hung up")
    return peer


@contextmanager
def _called(listener: socket.socket, context: SSLContext) -> Iterator[Callable[[float], tuple[int, socket.socket]]]:
    """Take calls, each in a thread of its own, so that one that says nothing holds up nobody.

    Yields
    ------
    Callable
        Returns the next one that has shown the certificate, with its number, or raises `queue.Empty` after so many
        seconds.
    """
    taken: SimpleQueue[tuple[int, socket.socket]] = SimpleQueue()
    left = Event()

    def greet(call: socket.socket) -> None:
        call.settimeout(GREETING)
        # A stranger may say anything.
        with suppress(OSError):
            peer = context.wrap_socket(call, server_side=True)
            said = peer.recv(_NUMBER.size)
            if len(said) == _NUMBER.size:
                peer.sendall(said)
                taken.put((*_NUMBER.unpack(said), peer))
                return
        call.close()

    def take() -> None:
        listener.settimeout(LOOK)
        while not left.is_set():
            try:
                Thread(target=greet, args=(listener.accept()[0],), name="greet", daemon=True).start()
            except TimeoutError:
                continue
            except OSError:
                # Who calls and hangs up at once, or calls so often that no more files can be open, ends by itself.
                left.wait(LOOK)
        listener.close()

    taker = Thread(target=take, name="called", daemon=True)
    taker.start()
    try:
        yield lambda timeout: taken.get(timeout=timeout)
    finally:
        left.set()
        taker.join()
