from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from flows.server import ServerError, answers, embedded, local_url, standing


@pytest.fixture
def silent() -> Iterator[str]:
    """API URL at a port that is taken, and where nobody listens."""
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        yield local_url(nobody.getsockname()[1])


def test_a_configured_server_that_does_not_answer_is_named(silent: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PREFECT_API_URL", silent)
    said = f"PREFECT_API_URL: no Prefect server answers at '{silent}'"
    with pytest.raises(ServerError, match=said), embedded():
        pass
    with pytest.raises(ServerError, match=said), standing(0, silent):
        pass


@pytest.mark.parametrize(("code", "there"), [(200, True), (401, True), (403, True), (404, False), (500, False)])
def test_a_server_that_asks_for_a_key_is_one(code: int, there: bool) -> None:
    class Health(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(code if self.path == "/api/health" else 500)
            self.end_headers()

        def log_message(self, *arguments: object) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Health) as server:
        thread = threading.Thread(target=server.handle_request)
        thread.start()
        assert answers(local_url(server.server_port)) == there
        thread.join()
