"""Keeps the workers of this machine out of reach of what its terminal sends: they end when the driver tells them to.

A terminal sends Ctrl-C to all processes in its foreground, and others signal a whole process group. A worker would end
by it with a traceback, in the middle of what the driver needs from it to end well. When the driver
is gone they end by themselves.
"""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from multiprocessing import resource_tracker
from typing import Any

from distributed import Nanny

from ritz.compute.cluster.silence import silence

_BEFORE = dict(os.environ)
"""The environment of this process before it started workers."""

_LOCK = threading.Lock()
_CHANGES: list[Mapping[str, str]] = []
"""What processes that are being started begin with, those of other clusters too."""


@contextmanager
def _environment(values: Mapping[str, str]) -> Iterator[None]:
    """Set variables while a process is started; the last one that is leaves the environment as it was."""
    with _LOCK:
        _CHANGES.append(values)
        os.environ.update(values)
    try:
        yield
    finally:
        with _LOCK:
            _CHANGES.remove(values)
            needed = {name for change in _CHANGES for name in change}
            for name in values.keys() - needed:
                if name in _BEFORE:
                    os.environ[name] = _BEFORE[name]
                else:
                    os.environ.pop(name, None)


def start_tracker() -> None:
    """Start what removes the semaphores of dead workers, without its warning that there were some.

    A worker that is busy when the driver ends is killed. Started by the event loop of the driver, the tracker would
    unmask the signals of its thread.
    """
    warnings = ",".join(filter(None, [_BEFORE.get("PYTHONWARNINGS"), "ignore:resource_tracker"]))
    # It would look for modules in the working directory first, as a worker would.
    with _environment({"PYTHONWARNINGS": warnings, "PYTHONSAFEPATH": "1"}):
        resource_tracker.ensure_running()


class Apart(Nanny):
    """Starts a worker that Ctrl-C does not reach while it starts."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        # This is the thread of the event loop; a process inherits the mask of the thread that starts it.
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
        super().__init__(*args, **kwargs)

    async def instantiate(self) -> Any:
        """Start the worker's process, and leave the environment of this one as it was."""
        # Dask puts what that process begins with into the environment of this one, and leaves it there.
        with _environment(self.pre_spawn_env):
            return await super().instantiate()


def dask_setup(_: object) -> None:
    """Leave the process group of the driver, and its terminal: Dask calls this in every worker before it begins."""
    os.setsid()


def dask_teardown(_: object) -> None:
    """Say nothing more: Dask calls this in every worker when it ends, because the driver wants it to.

    A task that is still at work then finds its connections closed.
    """
    silence()
