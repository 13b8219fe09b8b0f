"""Tasks that connect with each other, and strangers who call in between."""

from __future__ import annotations

import socket
import ssl
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

import pytest

from ritz.compute.cluster import peers
from ritz.compute.cluster.encryption import Certificate
from ritz.compute.cluster.peers import Endpoint, connected, endpoint, listen


def _endpoints(count: int) -> tuple[list[socket.socket], list[Endpoint]]:
    listeners = [listen("127.0.0.1") for _ in range(count)]
    return listeners, [endpoint(number, listener) for number, listener in enumerate(listeners)]


def test_every_task_gets_the_one_it_asks_for_and_nobody_listens_any_more() -> None:
    listeners, endpoints = _endpoints(3)
    assert len({endpoint.port for endpoint in endpoints}) == 3
    all_connected, said = threading.Barrier(3), {}

    def be(number: int) -> None:
        with connected(number, endpoints, listeners[number]) as there:
            assert sorted(there) == [other for other in range(3) if other != number]
            for other, peer in there.items():
                peer.sendall(bytes([number, other]))
            said[number] = {other: tuple(peer.recv(2)) for other, peer in there.items()}
            all_connected.wait(30)

    with ThreadPoolExecutor(3) as pool:
        list(pool.map(be, range(3)))
    assert said == {number: {other: (other, number) for other in range(3) if other != number} for number in range(3)}
    for closed in endpoints:
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection((closed.host, closed.port))


def _plain(endpoint: Endpoint) -> bytes:
    """Call as a task of number 1 would, without a certificate."""
    with socket.create_connection((endpoint.host, endpoint.port), timeout=30) as call:
        call.sendall((1).to_bytes(4, "little"))
        return call.recv(100)


def _with_another_certificate(endpoint: Endpoint) -> bytes:
    context = Certificate.temporary().client_context()
    context.verify_mode = ssl.CERT_NONE
    with context.wrap_socket(socket.create_connection((endpoint.host, endpoint.port), timeout=30)) as call:
        call.sendall((1).to_bytes(4, "little"))
        return call.recv(100)


def _without_a_certificate(endpoint: Endpoint) -> bytes:
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    with context.wrap_socket(socket.create_connection((endpoint.host, endpoint.port), timeout=30)) as call:
        call.sendall((1).to_bytes(4, "little"))
        return call.recv(100)


STRANGERS = (_plain, _with_another_certificate, _without_a_certificate)


def test_strangers_take_nobodys_place_and_hear_nothing() -> None:
    listeners, endpoints = _endpoints(2)
    with socket.create_connection((endpoints[0].host, endpoints[0].port)) as silent, ThreadPoolExecutor(2) as pool:
        first = pool.submit(_first_byte, 0, endpoints, listeners[0])
        for stranger in STRANGERS:
            heard = b""
            with suppress(OSError):
                heard = stranger(endpoints[0])
            # What a TLS handshake ends with is an alert: 7 bytes that name the fault.
            assert heard[:1] in (b"", b"\x15"), stranger.__name__
            assert len(heard) <= 7
        assert not first.done()
        second = pool.submit(_first_byte, 1, endpoints, listeners[1])
        assert (first.result(60), second.result(60)) == (b"1", b"0")
        silent.settimeout(30)


def _first_byte(number: int, endpoints: list[Endpoint], listener: socket.socket) -> bytes:
    with connected(number, endpoints, listener) as there:
        (peer,) = there.values()
        peer.sendall(str(number).encode())
        return bytes(peer.recv(1))


def test_one_that_answers_in_the_place_of_a_task_is_not_taken_for_it() -> None:
    listeners, endpoints = _endpoints(2)
    context = Certificate.temporary().server_context()
    context.verify_mode = ssl.CERT_NONE

    def answer() -> None:
        call, _ = listeners[0].accept()
        with suppress(OSError), context.wrap_socket(call, server_side=True) as peer:
            peer.sendall(peer.recv(4))

    with ThreadPoolExecutor(1) as pool:
        pool.submit(answer)
        with pytest.raises(ssl.SSLCertVerificationError), connected(1, endpoints, listeners[1]):
            pass
    listeners[0].close()


def test_a_call_that_cannot_be_taken_is_not_the_last(monkeypatch: pytest.MonkeyPatch) -> None:
    """As where strangers call so often that no more files can be open."""
    accept, failing = socket.socket.accept, [OSError(24, "Too many open files"), ConnectionAbortedError()]

    def failed(listener: socket.socket) -> object:
        if failing:
            raise failing.pop()
        return accept(listener)

    monkeypatch.setattr(socket.socket, "accept", failed)
    listeners, endpoints = _endpoints(2)

    def be(number: int) -> list[int]:
        with connected(number, endpoints, listeners[number]) as there:
            return list(there)

    with ThreadPoolExecutor(2) as pool:
        assert list(pool.map(be, range(2))) == [[1], [0]]
    assert not failing


def test_a_task_that_does_not_come_is_missed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(peers, "START", 0.5)
    listeners, endpoints = _endpoints(2)
    with pytest.raises(TimeoutError, match=r"task 1 did not call within 0\.5 s"), connected(0, endpoints, listeners[0]):
        pass
    listeners[1].close()
