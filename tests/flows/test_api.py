"""What is said about what answers in the place of a Prefect API; the other side is a real socket."""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from email.message import Message
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.request import urlopen

import httpx
import pytest
from websockets.sync.client import connect
from websockets.sync.server import serve

from ritz.flows.server import api
from ritz.flows.server import key as keys
from ritz.flows.server.access import reached, standing
from ritz.flows.server.api import PROOF, ServerError, answers, check, local_url, own_key
from ritz.flows.settings import AUTH, loopback, prepare_prefect

Answer = Callable[[str], tuple[int, str]]


@contextmanager
def answering(answer: Answer, headers: dict[str, str] | None = None) -> Iterator[tuple[int, list[dict[str, str]]]]:
    """Answer by path at a free port; gives the port and the headers that were received."""
    received: list[dict[str, str]] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            received.append(dict(self.headers.items()))
            code, body = answer(self.path)
            self.send_response(code)
            for name, value in (headers or {}).items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body.encode())

        def log_message(self, *arguments: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=lambda: server.serve_forever(0.02))
        thread.start()
        try:
            yield server.server_port, received
        finally:
            server.shutdown()
            thread.join()


def always(code: int, body: str) -> Answer:
    return lambda _: (code, body)


def after_health(code: int, body: str) -> Answer:
    return lambda path: prefect(path) if path == "/api/health" else (code, body)


def prefect(path: str) -> tuple[int, str]:
    known = {"/api/health": "true", "/api/admin/version": '"3.9.1"'}
    return (200, known[path]) if path in known else (404, '{"detail":"Not Found"}')


@pytest.fixture(autouse=True)
def nothing_configured(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (AUTH, "PREFECT_API_KEY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.setenv("PREFECT_HOME", str(tmp_path / "prefect"))


def test_a_prefect_api_is_taken() -> None:
    with answering(prefect) as (port, _):
        check(local_url(port))
        check(local_url(port) + "/")


@pytest.mark.parametrize(
    ("answer", "headers", "said"),
    [
        (always(200, "<html>sign in</html>"), {}, "is no Prefect API \\(HTTP 200, '<html>sign in</html>'\\)"),
        (always(200, "null"), {}, "is no Prefect API \\(HTTP 200, 'null'\\)"),
        (always(200, ""), {}, "is no Prefect API \\(HTTP 200\\)"),
        (always(200, "true"), {}, "is no Prefect API \\(HTTP 200, 'true'\\)"),
        (always(404, "nothing here"), {}, "is no Prefect API \\(HTTP 404, 'nothing here'\\)"),
        (always(500, "x" * 9000), {}, f"is no Prefect API \\(HTTP 500, '{'x' * 60}'\\)"),
        (
            always(302, ""),
            {"Location": "https://login.example/"},
            "is no Prefect API \\(HTTP 302, moved to 'https://login.example/'\\)",
        ),
        (always(401, "no"), {}, "asks for a key; set PREFECT_API_AUTH_STRING \\(HTTP 401\\)"),
        (
            after_health(401, "no"),
            {},
            "asks for a key; set PREFECT_API_AUTH_STRING",
        ),
    ],
)
def test_what_is_no_usable_api_is_named_in_one_line(answer: Answer, headers: dict[str, str], said: str) -> None:
    with answering(answer, headers) as (port, _), pytest.raises(ServerError, match=said) as caught:
        check(local_url(port))
    assert str(caught.value).startswith("PREFECT_API_URL: ")
    assert local_url(port) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_wrong_key_is_named_and_not_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(AUTH, "ritz:wrong")
    with (
        answering(after_health(401, "no")) as (port, _),
        pytest.raises(ServerError, match=f"refuses the key in {AUTH}") as caught,
    ):
        check(local_url(port))
    assert "wrong" not in str(caught.value)


def test_a_key_is_not_sent_where_a_server_redirects_to(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(AUTH, "ritz:secret")
    with answering(prefect) as (there, received):
        location = {"Location": f"{local_url(there)}/admin/version"}
        with answering(after_health(307, ""), location) as (port, _), pytest.raises(ServerError, match="moved to"):
            check(local_url(port))
        assert received == []


def test_a_forgotten_path_is_offered() -> None:
    with answering(prefect) as (port, _):
        url = f"http://127.0.0.1:{port}"
        with pytest.raises(ServerError, match=f"did you mean '{url}/api'\\?"):
            check(url)


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("127.0.0.1:4200/api", "does not begin with http:// or https://"),
        ("localhost:4200", "does not begin with http:// or https://"),
        ("htp://127.0.0.1:4200/api", "does not begin with http:// or https://"),
        ("http:///api", "names no host"),
        ("http://127.0.0.1:99999/api", "Port out of range 0-65535"),
        ("http://127.0.0.1:four/api", "Port could not be cast"),
        ("http://127.0.0.1:4200 /api", "Port could not be cast|characters that no URL has"),
        ("http://127.0.0.1:4200/a pi", "characters that no URL has"),
        ("http://[::1/api", "Invalid IPv6 URL"),
        ("", "does not begin with http:// or https://"),
    ],
)
def test_a_mistyped_url_is_named(url: str, said: str) -> None:
    with pytest.raises(ServerError, match=said) as caught:
        check(url)
    assert f"PREFECT_API_URL: {url!r} is no address" in str(caught.value)


def test_tls_where_none_is_spoken_is_named() -> None:
    with answering(prefect) as (port, _), pytest.raises(ServerError, match=r"no Prefect server answers at .*SSL"):
        check(f"https://127.0.0.1:{port}/api")


def _other_words(connection: socket.socket) -> None:
    with connection:
        connection.recv(4096)
        connection.sendall(b"SSH-2.0-OpenSSH_9.2\r\n")


def _nothing(connection: socket.socket) -> None:
    connection.close()


@pytest.mark.parametrize("speak", [_other_words, _nothing])
def test_what_speaks_no_http_is_silent(speak: Callable[[socket.socket], None]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        thread = threading.Thread(target=lambda: speak(server.accept()[0]))
        thread.start()
        with pytest.raises(ServerError, match="no Prefect server answers at"):
            check(local_url(server.getsockname()[1]))
        thread.join()


def test_an_answer_without_end_is_not_waited_for() -> None:
    """One that trickles keeps the time limit of a read from ever being reached."""
    ended = threading.Event()

    def trickle(connection: socket.socket) -> None:
        with connection:
            connection.recv(4096)
            connection.sendall(b"HTTP/1.1 200 OK\r\n\r\n<html>")
            ended.wait()

    with socket.create_server(("127.0.0.1", 0)) as server:
        thread = threading.Thread(target=lambda: trickle(server.accept()[0]))
        thread.start()
        try:
            with pytest.raises(ServerError, match="HTTP 200, '<html>'"):
                check(local_url(server.getsockname()[1]))
        finally:
            ended.set()
            thread.join()


def test_a_foreign_server_at_the_port_is_not_taken_for_one_s_own() -> None:
    """Neither one that answers all, nor one that says what it was asked; none of them gets the key."""
    said = "port {port} of this machine is taken by a server that no `ritz serve` of yours has started"
    for answer in (prefect, always(200, "true"), lambda path: (200, path)):
        with answering(answer) as (port, received):
            for key in (None, "ritz:secret"):
                with ExitStack() as stack:
                    if key is not None:
                        stack.enter_context(keys.kept(port, key))
                    for use in (reached, standing):
                        with pytest.raises(ServerError, match=said.format(port=port)):
                            stack.enter_context(use(port, None))
            assert received
            assert not [sent for sent in received if "Authorization" in sent]


def test_a_proof_is_of_use_at_its_own_port_alone() -> None:
    """A program that has the port asks the true server in the name of who asks it."""
    key = keys.made()

    def true(path: str) -> tuple[int, str]:
        return (200, keys.proof(key, true_port, path.partition("?")[2])) if path.startswith(PROOF) else (401, "")

    with answering(true) as (true_port, _):

        def relay(path: str) -> tuple[int, str]:
            if not path.startswith(PROOF):
                return prefect(path)
            with urlopen(f"http://127.0.0.1:{true_port}{path}") as answer:
                return 200, answer.read().decode()

        with keys.kept(true_port, key):
            assert own_key(true_port) == key
        with (
            answering(relay) as (port, _),
            keys.kept(port, key),
            pytest.raises(ServerError, match="no `ritz serve` of yours"),
        ):
            own_key(port)


@pytest.mark.parametrize("host", ["localhost", "127.0.0.2", "[::1]"])
def test_a_key_is_for_the_address_that_has_proved_itself(host: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """At another address of this machine somebody else can listen at the same port, and `localhost` may mean either."""
    key, sent = keys.made(), dict[str, str]()

    def get(url: str, headers: dict[str, str] | None = None, timeout: float = 0) -> api._Answer:
        path = url.partition("4200")[2]
        if path.startswith(PROOF):
            return api._Answer(200, keys.proof(key, 4200, path.partition("?")[2]).encode(), Message())
        sent.update(headers or {})
        return api._Answer(200, b"true", Message()) if path == "/api/health" else api._Answer(401, b"", Message())

    monkeypatch.setattr(api, "_get", get)
    with keys.kept(4200, key):
        with pytest.raises(ServerError, match=r"one of your own `ritz serve` is used as http://127\.0\.0\.1:4200/api"):
            check(f"http://{host}:4200/api")
        assert not sent
        with pytest.raises(ServerError, match="refuses the key"):
            check(local_url(4200))
    assert "Authorization" in sent
    assert AUTH not in os.environ


def test_a_password_in_a_url_is_refused_and_not_shown() -> None:
    with pytest.raises(ServerError, match=f"expected them in {AUTH}") as caught:
        check("http://ritz:secret@127.0.0.1:4200/api")
    assert "secret" not in str(caught.value)


def test_a_long_url_is_cut() -> None:
    for url in ("http://" + "x" * 10**5, "x" * 10**5):
        with pytest.raises(ServerError) as caught:
            check(url)
        assert len(str(caught.value)) < 700


@pytest.mark.parametrize("proxy", ["http://127.0.0.1:9", "http://nobody.invalid:3128"])
@pytest.mark.parametrize("but", [None, "", "example.org", "example.org, .internal"])
def test_this_machine_is_asked_without_a_proxy(proxy: str, but: str | None, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "https_proxy", "all_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
        monkeypatch.setenv(name, proxy)
    for name in ("no_proxy", "NO_PROXY"):
        if but is None:
            # Set first, so that what is set by the test is taken back.
            monkeypatch.setenv(name, "")
            monkeypatch.delenv(name)
        else:
            monkeypatch.setenv(name, but)
    with answering(prefect) as (port, _):
        assert answers(local_url(port))
        prepare_prefect({})
        # The libraries that Prefect's client asks with, and others that look at the environment.
        assert httpx.get(f"{local_url(port)}/health").text == "true"
        with urlopen(f"http://localhost:{port}/api/health", timeout=5) as answer:
            assert answer.read() == b"true"
    with serve(lambda socket: socket.send("here"), "127.0.0.1", 0) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        with connect(f"ws://127.0.0.1:{server.socket.getsockname()[1]}") as client:
            assert client.recv() == "here"
        server.shutdown()
        thread.join()
    # What lies elsewhere goes by the proxy as before.
    with pytest.raises(httpx.ConnectError):
        httpx.get("http://elsewhere.invalid/")


@pytest.mark.parametrize(
    ("url", "here"),
    [
        ("http://127.0.0.1:4200/api", True),
        ("http://127.0.1.1/api", True),
        ("http://LOCALHOST:4200/api", True),
        ("http://[::1]:4200/api", True),
        ("http://127.0.0.1.example:4200/api", False),
        ("https://api.prefect.cloud/api", False),
        ("http://[::1/", False),
        ("", False),
    ],
)
def test_loopback(url: str, here: bool) -> None:
    assert loopback(url) == here
