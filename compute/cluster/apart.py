"""Keeps the workers of this machine out of reach of what its terminal sends: they end when the driver tells them to.

A terminal sends Ctrl-C to all processes in its foreground, and others signal a whole process group. A worker would end
by it with a traceback, in the middle of what the driver needs from it to end well. When the driver
is gone they end by themselves.
"""

from __future__ import annotations

import os
import signal
import threading
import time
from typing import Any

from distributed import Nanny
from threadpoolctl import threadpool_limits

from ritz.compute.cluster.forking import environment
from ritz.compute.cluster.silence import silence

LOOK = 1.0
"""Seconds between two looks whether the process is there that has started this one."""


class Apart(Nanny):
    """Starts a worker that Ctrl-C does not reach while it starts."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        # This is the thread of the event loop; a process inherits the mask of the thread that starts it.
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
        super().__init__(*args, **kwargs)

    async def instantiate(self) -> Any:
        """Start the worker's process, and leave the environment of this one as it was."""
        # Dask puts what that process begins with into the environment of this one, and leaves it there.
        with environment(self.pre_spawn_env):
            return await super().instantiate()


def dask_setup(_: object) -> None:
    """Leave the process group of the driver, and its terminal: Dask calls this in every worker before it begins."""
    os.setsid()
    # Libraries that were there before the fork have not read how many threads they may take.
    threadpool_limits(int(os.environ["OPENBLAS_NUM_THREADS"]), user_api="blas")
    threading.Thread(target=_leave_with, args=(os.getppid(),), daemon=True).start()


def _leave_with(parent: int) -> None:
    """End when what this process was forked from is gone: Dask takes it for dead then, and starts another one."""
    while os.getppid() == parent:
        time.sleep(LOOK)
    os._exit(1)


def dask_teardown(_: object) -> None:
    """Say nothing more: Dask calls this in every worker when it ends, because the driver wants it to.

    A task that is still at work then finds its connections closed.
    """
    silence()
