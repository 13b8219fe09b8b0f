"""Preload module of Dask: lets the worker of a job leave before the walltime of the job.

Dask counts ``--lifetime`` from the start of a worker's process: a worker that its nanny has started again, or one whose
modules took long to load, would be killed by the batch system before it hands on what it holds.
"""

from __future__ import annotations

import os
import time
from typing import Any

LEAVES_AFTER = "RITZ_LEAVES_AFTER"
"""Variable with the seconds after the start of a job at which its worker leaves at the latest."""


def dask_setup(worker: Any) -> None:
    """Have the worker hand on its results and leave, in time before its job ends."""
    import psutil

    # The shell of the job has become the nanny, which is the parent of this process.
    started = psutil.Process(os.getppid()).create_time()
    left = started + float(os.environ[LEAVES_AFTER]) - time.time()
    worker.loop.call_later(max(0.0, left), worker.close_gracefully, reason="the walltime of its job ends")
