"""Detaches the workers of this machine from the terminal: the driver ends them.

A terminal sends Ctrl-C to all processes in its foreground, and a service manager signals a whole process group. The
signal would end a worker with a traceback while the driver still needs it for an orderly end. Workers whose driver has
died end by themselves.
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

_BEFORE = dict(os.environ)
"""The environment of this process before it started workers."""

_LOCK = threading.Lock()
_CHANGES: list[Mapping[str, str]] = []
"""Variables of the processes that are being started now, of all clusters."""


@contextmanager
def _environment(values: Mapping[str, str]) -> Iterator[None]:
    """Set variables while a process starts; the environment is restored when no start needs them any more."""
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
    """Start Python's resource tracker, which removes the semaphores of dead workers, without its warning about them.

    A worker that is busy when the driver ends is killed and leaves semaphores. If the event loop of the driver started
    the tracker, that would unmask the signals of its thread.
    """
    warnings = ",".join(filter(None, [_BEFORE.get("PYTHONWARNINGS"), "ignore:resource_tracker"]))
    # Without PYTHONSAFEPATH it would import modules from the working directory first, like a worker.
    with _environment({"PYTHONWARNINGS": warnings, "PYTHONSAFEPATH": "1"}):
        resource_tracker.ensure_running()


class DetachedNanny(Nanny):
    """Starts a worker with SIGINT blocked."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        # This runs in the thread of the event loop; a process inherits the signal mask of the thread that starts it.
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
        super().__init__(*args, **kwargs)

    async def instantiate(self) -> Any:
        """Start the worker's process, and restore the environment of this one."""
        # Dask sets the variables of that process in the environment of this one, and does not unset them.
        with _environment(self.pre_spawn_env):
            return await super().instantiate()


def dask_setup(_: object) -> None:
    """Leave the process group and the terminal of the driver: Dask calls this when a worker starts."""
    os.setsid()


def dask_teardown(_: object) -> None:
    """Silence stderr: Dask calls this when the driver ends a worker.

    A task that still runs then finds its connections closed, and Python would print a traceback.
    """
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 2)
    os.close(nowhere)
