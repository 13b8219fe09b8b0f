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
"""Seconds that a task waits for the other tasks to connect."""

HANDSHAKE = 10.0
"""Seconds that a caller has to show its certificate."""

POLL = 0.2
"""Seconds between two checks whether all callers have connected."""

_NUMBER = struct.Struct("<I")
"""First bytes that a caller sends, and that the listener returns: the caller's number."""


class Endpoint(NamedTuple):
    """Address of a task for the other tasks of its rendezvous; a tuple, so that Dask can send it without a pickle.

    Attributes
    ----------
    certificate, key
        Made by task 0 for this rendezvous alone; empty for the other tasks.
    """

    host: str
    port: int
    certificate: str = ""
    key: str = ""


def listen(host: str) -> socket.socket:
    """Return a socket that listens on a free port of ``host``, on no other interface."""
    return socket.create_server((host, 0), family=socket.AF_INET6 if ":" in host else socket.AF_INET)


def endpoint(number: int, listener: socket.socket) -> Endpoint:
    """Return the address of task ``number``, with the certificate of the rendezvous for task 0."""
    host, port, *_ = listener.getsockname()
    return Endpoint(host, port, *(Certificate.temporary() if number == 0 else ()))


@contextmanager
def connected(
    number: int, endpoints: Sequence[Endpoint], listener: socket.socket
) -> Iterator[dict[int, socket.socket]]:
    """Connect a task with each other task of a rendezvous; all tasks call this at the same time.

    Both ends of a connection show the certificate of the rendezvous, which the scheduler has sent to its tasks alone.
    A stranger can therefore neither join nor read or change a message: its calls are hung up. The listener is closed
    when all tasks are connected, the connections at the end of the context.

    Parameters
    ----------
    number
        Number of this task.
    endpoints
        Of all tasks, in the order of their numbers (see `endpoint`).
    listener
        Socket of this task's endpoint; it is closed.

    Yields
    ------
    dict
        A stream socket for the number of every other task; blocking, with a timeout of `START`.

    Raises
    ------
    OSError
        If a task does not connect within `START` seconds.
    """
    certificate = Certificate(endpoints[0].certificate, endpoints[0].key)
    until = time.monotonic() + START
    peers: dict[int, socket.socket] = {}
    with ExitStack() as stack:
        with _accepting(listener, certificate.server_context()) as accepted:
            # A task calls those of smaller numbers, and is called by those of larger ones.
            for other in range(number):
                peers[other] = stack.enter_context(_call(endpoints[other], number, certificate.client_context()))
            while missing := set(range(number + 1, len(endpoints))) - set(peers):
                if time.monotonic() > until:
                    raise TimeoutError(f"task {min(missing)} did not call within {START:g} s")
                with suppress(Empty):
                    other, peer = accepted(POLL)
                    peers[other] = stack.enter_context(peer)
        for peer in peers.values():
            peer.settimeout(START)
            peer.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            peer.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        yield peers


def _call(callee: Endpoint, number: int, context: SSLContext) -> socket.socket:
    """Return a connection to a task whose number is smaller."""
    peer = context.wrap_socket(socket.create_connection((callee.host, callee.port), timeout=START))
    peer.sendall(_NUMBER.pack(number))
    # The answer shows that the other end has accepted the certificate.
    if peer.recv(_NUMBER.size) != _NUMBER.pack(number):
        peer.close()
        raise ConnectionRefusedError(f"the task at {callee.host}:{callee.port} has hung up")
    return peer


@contextmanager
def _accepting(listener: socket.socket, context: SSLContext) -> Iterator[Callable[[float], tuple[int, socket.socket]]]:
    """Accept calls, each in a thread of its own, so that a silent caller blocks nobody.

    Yields
    ------
    Callable
        Returns the number and the connection of the next caller that has shown the certificate; raises `queue.Empty`
        after so many seconds without one.
    """
    accepted: SimpleQueue[tuple[int, socket.socket]] = SimpleQueue()
    left = Event()

    def handshake(call: socket.socket) -> None:
        call.settimeout(HANDSHAKE)
        # A stranger may send anything.
        with suppress(OSError):
            peer = context.wrap_socket(call, server_side=True)
            received = peer.recv(_NUMBER.size)
            if len(received) == _NUMBER.size:
                peer.sendall(received)
                accepted.put((*_NUMBER.unpack(received), peer))
                return
        call.close()

    def accept() -> None:
        listener.settimeout(POLL)
        while not left.is_set():
            try:
                Thread(target=handshake, args=(listener.accept()[0],), name="handshake", daemon=True).start()
            except TimeoutError:
                continue
            except OSError:
                # The caller has hung up at once, or strangers call so often that no more files can be open.
                left.wait(POLL)
        listener.close()

    acceptor = Thread(target=accept, name="accept", daemon=True)
    acceptor.start()
    try:
        yield lambda timeout: accepted.get(timeout=timeout)
    finally:
        left.set()
        acceptor.join()
