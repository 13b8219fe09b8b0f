"""Ends a process after a time, as SIGTERM does: with its work committed, and a reason."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from ritz.tasks.driver.signals import Stop, Stopped
from ritz.tasks.errors import InputError

_expired: list[str] = []


def expired() -> str | None:
    """Return by which limit this process was told to end; None without one."""
    return _expired[-1] if _expired else None


@contextmanager
def limited(seconds: float | None) -> Iterator[None]:
    """Raise `Stopped` in the main thread when a time is over; without one nothing happens.

    Where this process listens for signals (`ritz.tasks.driver.signals.listen`), it then ends as by SIGTERM.

    Raises
    ------
    InputError
        Outside of the main thread, which alone can be interrupted.
    """
    _expired.clear()
    if seconds is None:
        yield
        return
    if threading.current_thread() is not threading.main_thread():
        raise InputError(
            f"profile.time_limit is {seconds:g} s: expected None where a flow does not run in the main thread, which "
            "alone can be interrupted"
        )

    def expire() -> None:
        _expired.append(f"the time limit of {seconds:g} s is over (profile.time_limit)")
        os.kill(os.getpid(), signal.SIGTERM)

    before = signal.getsignal(signal.SIGTERM)
    if not isinstance(before, Stop):
        signal.signal(signal.SIGTERM, _raising(before))
    timer = threading.Timer(seconds, expire)
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()
        if not isinstance(before, Stop):
            signal.signal(signal.SIGTERM, before)


def _raising(before: Any) -> Any:
    """Return a handler of SIGTERM that knows by what it was sent; another's goes where it went before."""

    def handle(number: int, _: object) -> None:
        if _expired:
            raise Stopped(_expired[-1])
        signal.signal(number, before)
        signal.raise_signal(signal.Signals(number))

    return handle
