from __future__ import annotations

import logging
import os
import stat
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from ritz.compute.cluster.forking import BEGINNING, METHOD

log = logging.getLogger("ritz")


@contextmanager
def settings() -> Iterator[None]:
    """Set what Dask is told in this process and in those that it starts, and unset it at the end."""
    import dask

    # A root logger set to INFO, as Prefect's, would print every message between scheduler and workers.
    logger = logging.getLogger("distributed")
    level = logger.level
    logger.setLevel(logging.ERROR)

    try:
        with dask.config.set(
            {
                # A run survives many dead workers: what a task did is in the store, so trying again is cheap.
                "distributed.scheduler.allowed-failures": 20,
                "distributed.nanny.pre-spawn-environ": BEGINNING,
                # Pages for a browser, which nobody asked for and which anybody could read.
                "distributed.scheduler.http.routes": [],
                "distributed.worker.http.routes": [],
                "distributed.worker.multiprocessing-method": METHOD,
                "distributed.worker.daemon": sys.platform != "win32",
                # Dask looks at itself, for a dashboard that is not there, and at the memory of its workers: with three
                # of them that took 7 % of a core in an idle driver's process alone, and takes 1 % like this.
                "distributed.worker.profile.enabled": False,
                "distributed.admin.tick.interval": "1s",
                "distributed.admin.tick.cycle": "5s",
                "distributed.admin.system-monitor.interval": "5s",
                "distributed.worker.memory.monitor-interval": "500ms",
                # The last thousand messages to everybody, kept for Dask's developers, hold the work that was sent.
                "distributed.admin.low-level-log-length": 10,
            }
        ):
            yield
    finally:
        logger.setLevel(level)


def scratch() -> str:
    """Return a folder for what workers of this machine put on disk, which nobody else can write to or read.

    They read pickles from there, and modules: where Dask would put it, in a folder of a name that all know, another
    user of the machine may have been first.
    """
    import dask

    parent = dask.config.get("temporary-directory") or tempfile.gettempdir()
    if not hasattr(os, "getuid"):
        return str(parent)
    folder = Path(parent) / f"ritz-{os.getuid()}"
    # What is there may be anything.
    with suppress(FileExistsError):
        folder.mkdir(mode=0o700)
    about = folder.lstat()
    if stat.S_ISDIR(about.st_mode) and about.st_uid == os.getuid() and not about.st_mode & 0o077:
        return str(folder)
    own = tempfile.mkdtemp(prefix="ritz-", dir=parent)
    log.warning("%s is not a folder of this user alone; workers use %s", folder, own)
    return own
