"""How a process ends that is stopped from outside: by Ctrl-C, by SIGTERM, or by its terminal going away."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from functools import wraps
from typing import ParamSpec, TypeVar

P = ParamSpec("P")
R = TypeVar("R")

SENTENCE = "interrupted: committed work is kept, the same command goes on from there"
"""What a command says that was stopped."""

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
"""Ctrl-C, what ends services and jobs, and a terminal that goes away."""

RESUBMIT = 75
"""Exit code of a command that SIGTERM ended in a job of a batch system: submit the job again. EX_TEMPFAIL of BSD."""

JOBS = ("SLURM_JOB_ID", "PBS_JOBID")
"""Variables with the number of the job in which a process runs."""

PATIENCE = 10.0
"""Seconds that the ending may take before another signal ends the process at once."""


# What listens in this process. No signal may have it as its handler: what a shell has started in the background, or
# under nohup, ignores the others while Prefect's engine has taken SIGTERM.
_listening: list[Stop] = []


class Stopped(KeyboardInterrupt):
    """Raised in the main thread by the first signal; says which it was."""


class Stop:
    """Handles the signals that end a process: the first raises `Stopped`, others while it ends do nothing.

    An ending that takes longer than `PATIENCE` is cut off by the next signal; workers and server leave when they see
    that the process has gone.

    Attributes
    ----------
    received
        The first signal, None before there was one.
    """

    def __init__(self) -> None:
        self.received: signal.Signals | None = None
        self._since = 0.0

    def __call__(self, number: int, frame: object) -> None:
        """Be told of a signal."""
        del frame
        if self.received is None:
            self.received, self._since = signal.Signals(number), time.monotonic()
            raise Stopped(self.received.name)
        if time.monotonic() - self._since > PATIENCE:
            os._exit(128 + number)

    def ignore(self) -> None:
        """Take no notice of signals any more."""
        for number in SIGNALS:
            if signal.getsignal(number) is self:
                signal.signal(number, signal.SIG_IGN)


def listen() -> Stop:
    """Take the signals that end this process; what was started with one of them ignored goes on ignoring it."""
    stop = Stop()
    _listening.append(stop)
    for number in SIGNALS:
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, stop)
    return stop


def leave_alone() -> None:
    """Handle the signals as Python does: for what has an ending of its own."""
    _listening.clear()
    for number in SIGNALS:
        if isinstance(signal.getsignal(number), Stop):
            signal.signal(number, signal.default_int_handler if number == signal.SIGINT else signal.SIG_DFL)


def stopped() -> signal.Signals | None:
    """Return the signal by which this process was told to end; None without one, and where nobody listens."""
    handler = _handler()
    return handler.received if handler is not None else None


def in_job() -> bool:
    """Return whether this process runs in a job of a batch system, which ends it before the walltime by SIGTERM."""
    return any(os.environ.get(name) for name in JOBS)


def stoppable(function: Callable[P, R]) -> Callable[P, R]:
    """Let a flow end as its command does: to go below ``@flow``.

    Prefect's engine takes SIGTERM while a flow runs, and a second one would break off the ending.
    """

    @wraps(function)
    def taken_back(*args: P.args, **kwargs: P.kwargs) -> R:
        handler = _handler()
        if handler is not None and signal.getsignal(signal.SIGTERM) is not signal.SIG_IGN:
            signal.signal(signal.SIGTERM, handler)
        return function(*args, **kwargs)

    return taken_back


def _handler() -> Stop | None:
    return _listening[-1] if _listening else None
