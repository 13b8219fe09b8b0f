"""Start of the workers of this machine: forks of one server process that has loaded their modules, where that is safe.

A new Python loads modules for a second and a half before a worker can solve. The fork server loads them once; if it
starts early, it does so while the driver still waits for something else.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from multiprocessing import forkserver, resource_tracker
from threading import Lock

FORKS = sys.platform == "linux" and sys.version_info >= (3, 11, 1)
"""Whether workers can be forks. In Python 3.11.0 other users can use a fork server's socket (CVE-2022-42919)."""

ENVIRONMENT = {
    # Dask makes malloc return memory above 64 KiB to the system. A training step then takes and returns the same pages
    # all the time and is 3 to 4 times slower; here windows bound the memory in flight instead. A thread's own arena
    # returns each of its heaps, of 64 MiB, that becomes empty, whatever the threshold: all threads share the first one.
    # malloc reads this when a process starts: a worker's own environment comes too late.
    "MALLOC_TRIM_THRESHOLD_": str(2**30),
    "MALLOC_MMAP_THRESHOLD_": str(2**30),
    "MALLOC_ARENA_MAX": "1",
    # A worker would import from the working directory first, where others may have put modules.
    "PYTHONSAFEPATH": "1",
}
"""Variables that the environment of a worker's process needs at its start."""

THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")
"""Variables from which numeric libraries read their number of threads when they are loaded."""

_BEFORE = dict(os.environ)
"""The environment of this process before it started workers."""

_LOCK = Lock()
_CHANGES: list[Mapping[str, str]] = []
"""Variables of the processes that are being started now, of all clusters."""
_STARTED: set[int | None] = set()
"""Process ids of the fork servers that `start` began."""


@contextmanager
def environment(values: Mapping[str, str]) -> Iterator[None]:
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


def start(modules: Sequence[str] = ()) -> None:
    """Start the fork server of the workers, unless it runs; return while it loads ``modules``.

    The modules must not start threads: a fork has only the thread that forks. Without a fork server nothing is loaded
    ahead.
    """
    _start_tracker()
    if not FORKS:
        return
    before = _fork_server()
    multiprocessing.set_forkserver_preload(["distributed.nanny", *modules])
    # Libraries start their threads when they are loaded.
    with environment({**ENVIRONMENT, **dict.fromkeys(THREADS, "1")}), interrupts_held():
        forkserver.ensure_running()
    if _fork_server() != before:
        _STARTED.add(_fork_server())


def method() -> str:
    """Return Dask's start method of workers: ``forkserver`` if `start` began the fork server of this process.

    Another part of the program may have begun it before, e.g. a `DataLoader` of torch, without the environment and the
    modules that workers need. Then they are new processes, which start a second later: ``spawn``.
    """
    return "forkserver" if FORKS and _fork_server() in _STARTED else "spawn"


def _fork_server() -> int | None:
    """Return the process id of Python's fork server; there is no public way to it."""
    pid: int | None = forkserver._forkserver._forkserver_pid  # type: ignore[attr-defined]  # no stub names it
    return pid


@contextmanager
def interrupts_held() -> Iterator[None]:
    """Block SIGINT in this thread inside the context, and for good in the processes that it starts: they inherit it."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _start_tracker() -> None:
    """Start Python's resource tracker, which removes the semaphores of dead workers, without its warning about them.

    A worker that is busy when the driver ends is killed and leaves semaphores. If the event loop of the driver started
    the tracker, that would unmask the signals of its thread.
    """
    warnings = ",".join(filter(None, [_BEFORE.get("PYTHONWARNINGS"), "ignore:resource_tracker"]))
    with environment({"PYTHONWARNINGS": warnings, "PYTHONSAFEPATH": "1"}):
        resource_tracker.ensure_running()
