"""How processes of this machine begin: as forks of one that has loaded what all of them need, where that is safe.

Python that is started anew loads a second and a half of modules before a worker can solve. The process they are forked
from loads them once, and while a driver still waits for something else, if it is started that early.
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

METHOD = "forkserver" if sys.platform == "linux" and sys.version_info >= (3, 11, 1) else "spawn"
"""How Dask starts workers. Python 3.11.0 let other users in at the socket of such a server (CVE-2022-42919)."""

BEGINNING = {
    # Dask makes malloc give memory back above 64 KiB. A training step then takes and returns the same pages all the
    # time and is 3 to 4 times slower; here windows bound what is in flight instead. malloc reads this when a process
    # starts: a worker's own environment comes too late.
    "MALLOC_TRIM_THRESHOLD_": str(2**30),
    "MALLOC_MMAP_THRESHOLD_": str(2**30),
    # A worker would look for modules in the working directory first, where others may have put some.
    "PYTHONSAFEPATH": "1",
}
"""What the environment of a worker's process has to hold when it starts."""

THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")
"""What numeric libraries read when they are loaded: how many threads they take."""

_BEFORE = dict(os.environ)
"""The environment of this process before it started workers."""

_LOCK = Lock()
_CHANGES: list[Mapping[str, str]] = []
"""What processes that are being started begin with, those of other clusters too."""


@contextmanager
def environment(values: Mapping[str, str]) -> Iterator[None]:
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


def start(modules: Sequence[str] = ()) -> None:
    """Start what workers will be forked from, unless it runs; returns while it loads ``modules``.

    They must start no thread: a fork has the one that forks alone. Where workers do not begin as forks nothing loads
    ahead.
    """
    _start_tracker()
    if METHOD != "forkserver":
        return
    multiprocessing.set_forkserver_preload(["distributed.nanny", *modules])
    # Libraries of more than one thread would begin them when they are loaded.
    with environment({**BEGINNING, **dict.fromkeys(THREADS, "1")}), interrupts_held():
        forkserver.ensure_running()


@contextmanager
def interrupts_held() -> Iterator[None]:
    """Keep Ctrl-C from this thread meanwhile, and for good from the processes that it starts: they inherit that."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _start_tracker() -> None:
    """Start what removes the semaphores of dead workers, without its warning that there were some.

    A worker that is busy when the driver ends is killed. Started by the event loop of the driver, the tracker would
    unmask the signals of its thread.
    """
    warnings = ",".join(filter(None, [_BEFORE.get("PYTHONWARNINGS"), "ignore:resource_tracker"]))
    with environment({"PYTHONWARNINGS": warnings, "PYTHONSAFEPATH": "1"}):
        resource_tracker.ensure_running()
