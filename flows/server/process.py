"""A Prefect server in a process of its own: it is started, watched and started again."""

from __future__ import annotations

import logging
import os
import select
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Mapping
from contextlib import suppress
from importlib import import_module

from ritz.flows.server.api import ServerError, answers, local_url
from ritz.flows.settings import SHIPPED, guarded

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


class _KilledInStartError(ServerError):
    """Raised where a signal ended a server that was starting: nothing is wrong with it."""


class ServerProcess:
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
        """Start it, and watch it from then on.

        Raises
        ------
        ServerError
            It did not start.
        """
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
        """End it, and give the port back."""
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
        command = [sys.executable, "-P", "-m", "ritz.flows.server.process", *numbers]
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
    app = import_module("ritz.flows.server.guarded_app").guarded_app(tell)
    # A client that keeps its connection open would hold up the end.
    config = uvicorn.Config(app, log_level="critical", lifespan="on", timeout_graceful_shutdown=3)
    uvicorn.Server(config).run(sockets=[socket.socket(fileno=listening)])


if __name__ == "__main__":
    _serve(*(int(argument) for argument in sys.argv[2:]))
