"""What befalls a part of a cluster whose parts are on hosts of their own, at moments drawn from a seed."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Literal, NamedTuple

import psutil

from tests.faults.blows import CONT, STOP, STOPPED
from tests.faults.network import Host

SHORT, LONG = 2.0, 40.0
"""Seconds that nothing may notice, and after which Dask has given up the other end: it does after 30."""

Sort = Literal["blink", "cut", "mute", "kill", "stop"]


class Trouble(NamedTuple):
    """What befalls which part.

    Attributes
    ----------
    victim
        Name of the part, which is that of its host.
    sort
        ``blink`` and ``cut`` take the link of its host down, for `SHORT` and `LONG`; ``mute`` loses what it sends, for
        `LONG`; ``kill`` is SIGKILL, ``stop`` SIGSTOP and SIGCONT.
    """

    victim: str
    sort: Sort

    def text(self) -> str:
        return f"{self.victim} {self.sort}"

    def strike(
        self, host: Host, processes: list[psutil.Process], over: Callable[[], bool], drawn: random.Random
    ) -> None:
        """Do it; a cut ends when what the part works for is over."""
        match self.sort:
            case "kill":
                with suppress(psutil.NoSuchProcess):
                    drawn.choice(processes).kill()
            case "stop":
                with suppress(psutil.NoSuchProcess):
                    process = drawn.choice(processes)
                    process.send_signal(STOP)
                    time.sleep(drawn.uniform(*STOPPED))
                    process.send_signal(CONT)
            case _:
                with host.mute() if self.sort == "mute" else host.cut():
                    deadline = time.monotonic() + (SHORT if self.sort == "blink" else LONG)
                    while time.monotonic() < deadline and (self.sort == "blink" or not over()):
                        time.sleep(0.1)
