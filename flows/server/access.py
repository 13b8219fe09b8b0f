"""Which Prefect server a command asks: the configured one, this user's own, or one that is started for it."""

from __future__ import annotations

import fcntl
import logging
import os
import threading
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, closing, contextmanager, suppress
from importlib import import_module
from importlib.metadata import version
from pathlib import Path
from types import MappingProxyType

from ritz.flows.server import database
from ritz.flows.server import key as keys
from ritz.flows.server.api import ServerError, check, local_url, own_key
from ritz.flows.server.home import private_home
from ritz.flows.server.process import ServerProcess
from ritz.flows.settings import AUTH, EMBEDDED, QUIET, RETRIES, URL, prepare_prefect

log = logging.getLogger("ritz")


@contextmanager
def embedded(load: str = "ritz.flows.launch") -> Iterator[None]:
    """Run a Prefect server for this process alone meanwhile, unless ``PREFECT_API_URL`` names one.

    Prefect's own way, a server that starts at the first call, loads the server's code in this process too, some
    80 MB, and answers every page that a browser has open. This one answers who has its key, which is in the
    environment of this process and of those that it starts; when it dies it is started again. To be entered before
    Prefect is imported.

    Parameters
    ----------
    load
        Module with the flow that will be run: it is loaded, and Prefect with it, while the server starts.

    Raises
    ------
    ServerError
        If the server that is named cannot be used, or none could be started.
    """
    prepare_prefect(QUIET)
    if configured := os.environ.get(URL):
        with _environment(check(configured)):
            yield
        return
    # A server that has died is started again while its clients wait: they need not try for long.
    with _server(0, keys.made(), EMBEDDED, {RETRIES: "3"}, load):
        try:
            yield
        finally:
            # Prefect sends log lines every two seconds, and tries for a minute where the server has gone before.
            for handler in logging.getLogger("ritz").handlers:
                handler.flush()


@contextmanager
def standing(port: int, configured: str | None) -> Iterator[str]:
    """Give the API URL of the configured Prefect server, or of one with pages that is started at ``port``.

    The server that is started answers its own pages and who has its key, which is kept where
    `ritz.flows.server.key.read` finds it. One of this user's own that has the port already is shared. The environment
    names it meanwhile, and has its key.

    Raises
    ------
    ServerError
        If the configured server cannot be used, if another one has the port, or if none could be started.
    """
    if configured or own_key(port):
        with reached(port, configured) as url:
            yield url
        return
    key = os.environ.get("PREFECT_SERVER_API_AUTH_STRING") or os.environ.get(AUTH) or keys.made()
    # Without this the pages that it serves ask port 4200, whatever port it has.
    with _server(port, key, {"PREFECT_SERVER_UI_API_URL": "/api"}, keep=True) as server:
        yield server.url


@contextmanager
def reached(port: int, configured: str | None) -> Iterator[str]:
    """Give the API URL of the configured Prefect server, or of this user's own at ``port``.

    The environment names it meanwhile, and has its key.

    Raises
    ------
    ServerError
        If there is none, or one that cannot be used.
    """
    url = configured or local_url(port)
    if configured:
        needed = check(configured)
    elif key := own_key(port):
        needed = {AUTH: key}
    else:
        raise ServerError(f"no Prefect server answers at {url}; start `ritz serve`, or set {URL}")
    with _environment({URL: url, **needed}):
        yield url


@contextmanager
def _server(
    port: int,
    key: str,
    environment: Mapping[str, str],
    clients: Mapping[str, str] = MappingProxyType({}),
    load: str | None = None,
    keep: bool = False,
) -> Iterator[ServerProcess]:
    """Run a server meanwhile, with a home that is its owner's alone, and name it in the environment.

    Its key is in a file too where it is to be kept; a module is loaded while it starts.
    """
    with ExitStack() as stack:
        home = stack.enter_context(private_home())
        server = stack.enter_context(closing(ServerProcess(port, key, environment)))
        try:
            if keep:
                stack.enter_context(keys.kept(server.port, key))
        except OSError as error:
            raise ServerError(f"the key of the server cannot be kept: {error}") from None
        stack.enter_context(_environment({URL: server.url, AUTH: key, **clients}))
        with _first(home), _loaded(load):
            server.start()
        yield server


@contextmanager
def _loaded(module: str | None) -> Iterator[None]:
    """Load a module meanwhile, in a thread of its own; what fails there will fail where it is used."""

    def work(module: str) -> None:
        with suppress(Exception):
            # By its name: what starts servers does not load Prefect.
            import_module(module)

    if module is None:
        yield
        return
    thread = threading.Thread(target=work, args=(module,))
    thread.start()
    try:
        yield
    finally:
        thread.join()


@contextmanager
def _environment(values: Mapping[str, str]) -> Iterator[None]:
    """Set variables meanwhile."""
    before = {name: os.environ.get(name) for name in values}
    os.environ.update(values)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


@contextmanager
def _first(home: Path) -> Iterator[None]:
    """Let one process at a time start a server where none of this version of Prefect has started before.

    The first one makes the tables of its database, and two that do so at once end each other.
    """
    done = home / f"ritz-started-{version('prefect')}"
    if done.exists():
        yield
        return
    place = home / "ritz-start.lock"
    try:
        # Neither followed nor emptied, should a link lie there.
        descriptor = os.open(place, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)
    except OSError as error:
        raise ServerError(f"{place} cannot be opened ({error.strerror}); remove it") from error
    with os.fdopen(descriptor):
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        database.provide(home, database.prepared())
        yield
        done.touch()
