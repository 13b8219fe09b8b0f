"""Signals to the processes of a run, at moments drawn from a seed."""

from __future__ import annotations

import random
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import psutil

from tests.faults.processes import children, forks
from tests.patience import PATIENCE

KILL, TERM, STOP, CONT = signal.SIGKILL, signal.SIGTERM, signal.SIGSTOP, signal.SIGCONT

STOPPED = (1.0, 8.0)
"""Least and most seconds from SIGSTOP to what follows it."""


class Blow(NamedTuple):
    """Signals that a process gets, one after the other, and which it is."""

    victim: str
    signals: tuple[signal.Signals, ...]

    def text(self) -> str:
        return f"{self.victim} {' '.join(number.name for number in self.signals)}"

    def strike(self, process: psutil.Process, drawn: random.Random) -> None:
        """Send the signals; raises psutil.NoSuchProcess where the process is not there for the first."""
        first, *others = self.signals
        process.send_signal(first)
        for number in others:
            time.sleep(drawn.uniform(*STOPPED))
            try:
                process.send_signal(number)
            except psutil.NoSuchProcess:
                # Who started it took it for dead meanwhile.
                return


def server(parent: psutil.Process) -> list[psutil.Process]:
    """Return the Prefect server that a process has started."""
    return children(parent, "ritz.flows.server")


def workers(driver: psutil.Process, role: str) -> list[psutil.Process]:
    """Return the Dask workers of a driver, whose nannies are in the driver itself.

    All are started alike: the one that trains is told by its PyTorch, which those that solve do not load.
    """
    return [worker for worker in forks(driver) if _trains(worker) == (role == "trainer")]


def _trains(worker: psutil.Process) -> bool:
    try:
        return "libtorch" in Path(f"/proc/{worker.pid}/maps").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return False


def struck(
    blow: Blow,
    find: Callable[[], list[psutil.Process]],
    over: Callable[[], bool],
    seconds: float,
    drawn: random.Random,
) -> bool:
    """Strike one of those that are found, some seconds after there was one.

    Parameters
    ----------
    blow, find
        Which signals, and what returns the processes that may get them.
    over
        Whether what they work for has ended.
    seconds
        The most from the moment at which there is one; how many is drawn.

    Returns
    -------
    bool
        Whether the signals were sent before the end.
    """
    deadline, moment = time.monotonic() + PATIENCE, None
    while not over():
        assert time.monotonic() < deadline, f"no process for {blow.text()}"
        victims = find()
        if victims and moment is None:
            moment = time.monotonic() + drawn.uniform(0, seconds)
        if victims and moment is not None and time.monotonic() >= moment:
            try:
                blow.strike(drawn.choice(victims), drawn)
            except psutil.NoSuchProcess:
                continue
            return True
        time.sleep(0.1)
    return False
