from __future__ import annotations

import fcntl
import logging
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from http import HTTPStatus
from importlib.metadata import version
from pathlib import Path
from urllib.error import HTTPError, URLError
from urllib.request import urlopen

from flows.settings import EMBEDDED, QUIET, SHIPPED, prepare_prefect

START = 120.0
"""Seconds a server may take to start on a loaded machine."""


class ServerError(ValueError):
    """No Prefect server answers, or none could be started."""


def answers(url: str) -> bool:
    """Return whether a Prefect server answers at an API URL, if only to ask who wants to know."""
    try:
        with urlopen(f"{url}/health", timeout=5) as response:
            return bool(response.status == HTTPStatus.OK)
    except HTTPError as error:
        return error.code in (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN)
    except (URLError, TimeoutError, ConnectionError):
        return False


@contextmanager
def embedded() -> Iterator[None]:
    """Run a Prefect server for this process alone meanwhile, unless ``PREFECT_API_URL`` names one.

    Prefect's own way, a server that starts at the first call, loads the server's code in this process too, some
    80 MB, and waits for it; this one starts while the caller goes on importing. To be entered before Prefect is
    imported.
    """
    prepare_prefect(QUIET)
    if configured := os.environ.get("PREFECT_API_URL"):
        if not answers(configured):
            raise ServerError(_silent(configured))
        yield
        return
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    url = f"http://127.0.0.1:{port}/api"
    with ExitStack() as stack:
        with _first():
            process = stack.enter_context(_process(port, EMBEDDED))
            _wait(url, process)
        os.environ["PREFECT_API_URL"] = url
        try:
            yield
        finally:
            # Prefect sends log lines every two seconds, and tries for a minute where the server has gone before.
            for handler in logging.getLogger("ritz").handlers:
                handler.flush()
            del os.environ["PREFECT_API_URL"]


@contextmanager
def standing(port: int, configured: str | None) -> Iterator[str]:
    """Give the API URL of the configured Prefect server, or of one with pages that is started at ``port``."""
    url = configured or local_url(port)
    if answers(url):
        yield url
        return
    if configured:
        raise ServerError(_silent(configured))
    # Without this the pages that it serves ask port 4200, whatever port it has.
    with ExitStack() as stack:
        with _first():
            process = stack.enter_context(_process(port, {"PREFECT_SERVER_UI_API_URL": url}))
            _wait(url, process)
        yield url


def local_url(port: int) -> str:
    """Return the API URL of a server at a port of this machine."""
    return f"http://127.0.0.1:{port}/api"


def _silent(configured: str) -> str:
    return f"PREFECT_API_URL: no Prefect server answers at {configured!r}"


def _wait(url: str, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + START
    while not answers(url):
        if process.poll() is not None or time.monotonic() > deadline:
            raise ServerError(f"the Prefect server did not start at {url}; another process may have the port")
        time.sleep(0.1)


@contextmanager
def _first() -> Iterator[None]:
    """Let one process at a time start a server where none of this version of Prefect has started before.

    The first one makes the tables of its database, and two that do so at once end each other.
    """
    home = Path(os.environ.get("PREFECT_HOME", "~/.prefect")).expanduser()
    done = home / f"ritz-started-{version('prefect')}"
    if done.exists():
        yield
        return
    home.mkdir(parents=True, exist_ok=True)
    with (home / "ritz-start.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
        done.touch()


@contextmanager
def _process(port: int, environment: Mapping[str, str]) -> Iterator[subprocess.Popen[bytes]]:
    command = [sys.executable, "-m", "flows.server", str(port), str(os.getpid())]
    # A session of its own: an interrupt or a signal to the group must reach this process first, which still has
    # things to tell the server. If this process dies the server leaves by itself.
    settings = {**SHIPPED, **os.environ, **environment}
    process = subprocess.Popen(command, env=settings, stdout=subprocess.DEVNULL, start_new_session=True)
    try:
        yield process
    finally:
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _serve(port: int, parent: int) -> None:
    """Serve the Prefect API on the loopback interface until the process ``parent`` is gone."""
    import uvicorn

    def leave_with_parent() -> None:
        while os.getppid() == parent:
            time.sleep(1)
        os._exit(0)

    threading.Thread(target=leave_with_parent, daemon=True).start()
    uvicorn.run("prefect.server.api.server:create_app", factory=True, host="127.0.0.1", port=port, log_level="critical")


if __name__ == "__main__":
    _serve(int(sys.argv[1]), int(sys.argv[2]))
