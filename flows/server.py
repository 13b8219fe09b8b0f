from __future__ import annotations

import fcntl
import logging
import os
import select
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, closing, contextmanager, suppress
from importlib import import_module
from importlib.metadata import version
from pathlib import Path
from types import MappingProxyType

from ritz.flows import database
from ritz.flows import key as keys
from ritz.flows.api import ServerError, answers, check, local_url, own_key
from ritz.flows.home import private_home
from ritz.flows.settings import AUTH, EMBEDDED, QUIET, RETRIES, SHIPPED, URL, guarded, prepare_prefect

log = logging.getLogger("ritz")

START = 120.0
"""Seconds a server may take to start on a loaded machine."""

LOOK = 10.0
"""Seconds between two looks at a server, and seconds that it may take to answer one."""

SILENT = 2
"""Looks that it may leave unanswered one after the other."""

STARTS = 3
"""How often the first one is started, where signals end it while it starts."""

RESTARTS = 50
"""How often a server is started again; one that dies more often is of no use."""


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

    The server that is started answers its own pages and who has its key, which is kept where `ritz.flows.key.read`
    finds it. One of this user's own that has the port already is shared. The environment names it meanwhile, and has
    its key.

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


class _KilledInStartError(ServerError):
    """Raised where a signal ended a server that was starting: nothing is wrong with it."""


class _Server:
    """A Prefect server in a process of its own, which is started again when it dies or falls silent.

    This process holds the socket that listens: what clients ask while there is no server waits for the next one, and
    nobody else can take the port.
    """

    def __init__(self, port: int, key: str, environment: Mapping[str, str]) -> None:
        self.key, self.environment = key, environment
        self.socket = socket.socket()
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            self.socket.bind(("127.0.0.1", port))
        except OSError as error:
            self.socket.close()
            raise ServerError(f"port {port} of this machine: {error.strerror}; give another --port") from None
        self.socket.listen(2048)
        self.port: int = self.socket.getsockname()[1]
        self.url = local_url(self.port)
        self._ending = threading.Event()
        self._watcher = threading.Thread(target=self._watch, daemon=True)
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        for left in reversed(range(STARTS)):
            try:
                self._process = self._started()
                break
            except _KilledInStartError as error:
                if not left:
                    raise
                log.warning("%s; it is started again", error)
        self._watcher.start()

    def close(self) -> None:
        self._ending.set()
        if self._watcher.ident is not None:
            self._watcher.join()
        self.socket.close()
        if self._process is not None:
            _end(self._process)

    def _started(self) -> subprocess.Popen[bytes]:
        listening, (news, tell) = self.socket.fileno(), os.pipe()
        numbers = [str(number) for number in (self.port, os.getpid(), listening, tell)]
        # Python would look for modules in the working directory first, where others may have put some.
        command = [sys.executable, "-P", "-m", "ritz.flows.server", *numbers]
        # A session of its own: an interrupt or a signal to the group must reach this process first, which still has
        # things to tell the server. If this process dies the server leaves by itself.
        process = subprocess.Popen(
            command,
            env={**SHIPPED, **os.environ, **guarded(self.port, self.key), **self.environment},
            stdout=subprocess.DEVNULL,
            start_new_session=True,
            pass_fds=(listening, tell),
            umask=0o077,
        )
        os.close(tell)
        try:
            said = self._first_news(news)
        finally:
            os.close(news)
        if said == b"\n":
            return process
        _end(process, patience=0)
        if said is None:
            raise ServerError(f"the Prefect server did not start within {START:.0f} s at {self.url}")
        if not said and process.returncode < 0:
            raise _KilledInStartError(f"the Prefect server was ended by {_signal(process.returncode)} while it started")
        reason = said.decode(errors="replace").strip() or f"it ended with code {process.returncode}"
        raise ServerError(f"the Prefect server did not start: {reason}")

    def _first_news(self, pipe: int) -> bytes | None:
        """Return the line that a server says when its start has ended: an empty one, or the reason; None for none."""
        said, deadline = b"", time.monotonic() + START
        while not said.endswith(b"\n"):
            ready, _, _ = select.select([pipe], [], [], max(0.0, min(0.5, deadline - time.monotonic())))
            if ready:
                if not (piece := os.read(pipe, 4096)):
                    break
                said += piece
            elif time.monotonic() > deadline or self._ending.is_set():
                return None
        return said

    def _watch(self) -> None:
        for _ in range(RESTARTS):
            assert self._process is not None
            reason = self._end_of(self._process)
            if not reason:
                return
            log.warning("Prefect's server %s; it is started again, and the run goes on", reason)
            _end(self._process, patience=0)
            try:
                self._process = self._started()
            except _KilledInStartError:
                # The next look finds the one before dead still.
                continue
            except ServerError as error:
                if not self._ending.is_set():
                    log.warning("%s; the run goes on, and Prefect's history of it ends here", error)
                break
        # Who asks from now on hears at once that nobody is there.
        self.socket.close()

    def _end_of(self, process: subprocess.Popen[bytes]) -> str:
        """Wait for the end of a process or of its answers; return the reason, nothing where the server is closed."""
        silent, next_look = 0, time.monotonic() + LOOK
        while not self._ending.wait(0.2):
            if (code := process.poll()) is not None:
                return f"was ended by {_signal(code)}" if code < 0 else f"has ended with code {code}"
            if time.monotonic() > next_look:
                silent = 0 if answers(self.url, LOOK) else silent + 1
                if silent == SILENT:
                    return f"has not answered for {SILENT * LOOK:.0f} s"
                next_look = time.monotonic() + (LOOK if not silent else 0)
        return ""


@contextmanager
def _server(
    port: int,
    key: str,
    environment: Mapping[str, str],
    clients: Mapping[str, str] = MappingProxyType({}),
    load: str | None = None,
    keep: bool = False,
) -> Iterator[_Server]:
    """Run a server meanwhile, with a home that is its owner's alone, and name it in the environment.

    Its key is in a file too where it is to be kept; a module is loaded while it starts.
    """
    with ExitStack() as stack:
        home = stack.enter_context(private_home())
        server = stack.enter_context(closing(_Server(port, key, environment)))
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


def _signal(code: int) -> str:
    """Return the name of the signal by which a process has ended."""
    return signal.Signals(-code).name


def _end(process: subprocess.Popen[bytes], patience: float = 10) -> None:
    if patience:
        process.terminate()
        with suppress(subprocess.TimeoutExpired):
            process.wait(patience)
    process.kill()
    process.wait()


def _serve(parent: int, listening: int, news: int) -> None:
    """Serve the Prefect API at a socket that listens until the process ``parent`` is gone."""
    import uvicorn

    def leave_with_parent() -> None:
        while os.getppid() == parent:
            time.sleep(1)
        os._exit(0)

    def tell(line: str) -> None:
        with suppress(BrokenPipeError):
            os.write(news, f"{line}\n".encode())

    threading.Thread(target=leave_with_parent, daemon=True).start()
    # By its name: what starts servers does not load Prefect.
    app = import_module("ritz.flows.guard").guarded_app(tell)
    # A client that keeps its connection open would hold up the end.
    config = uvicorn.Config(app, log_level="critical", lifespan="on", timeout_graceful_shutdown=3)
    uvicorn.Server(config).run(sockets=[socket.socket(fileno=listening)])


if __name__ == "__main__":
    _serve(*(int(argument) for argument in sys.argv[2:]))
