"""Detaches the workers of this machine from the terminal: the driver ends them.

A terminal sends Ctrl-C to all processes in its foreground, and a service manager signals a whole process group. The
signal would end a worker with a traceback while the driver still needs it for an orderly end. Workers whose driver has
died end by themselves.
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

CHECK_EVERY = 1.0
"""Seconds between two checks of the parent process."""


class DetachedNanny(Nanny):
    """Starts a worker with SIGINT blocked."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        # This runs in the thread of the event loop; a process inherits the signal mask of the thread that starts it.
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
        super().__init__(*args, **kwargs)

    async def instantiate(self) -> Any:
        """Start the worker's process, and restore the environment of this one."""
        # Dask sets the variables of that process in the environment of this one, and does not unset them.
        with environment(self.pre_spawn_env):
            return await super().instantiate()


def dask_setup(_: object) -> None:
    """Leave the process group and the terminal of the driver: Dask calls this when a worker starts."""
    os.setsid()
    # Libraries loaded before the fork have not read their number of threads.
    threadpool_limits(int(os.environ["OPENBLAS_NUM_THREADS"]), user_api="blas")
    threading.Thread(target=_leave_with, args=(os.getppid(),), daemon=True).start()


def _leave_with(parent: int) -> None:
    """End with the process that this one was forked from: Dask then counts it as dead, and starts another."""
    while os.getppid() == parent:
        time.sleep(CHECK_EVERY)
    os._exit(1)


def dask_teardown(_: object) -> None:
    """Silence stderr: Dask calls this when the driver ends a worker.

    A task that still runs then finds its connections closed, and Python would print a traceback.
    """
    silence()
