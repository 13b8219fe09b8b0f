from __future__ import annotations

import logging
import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager

from ritz.compute.cluster.forking import ENVIRONMENT, method
from ritz.compute.cluster.own_folder import make_own, own_folder

log = logging.getLogger("ritz")


@contextmanager
def settings() -> Iterator[None]:
    """Configure Dask in this process and in those that it starts; restore its configuration at the end."""
    import dask

    # With a root logger at INFO, like Prefect's, Dask would log every message between scheduler and workers.
    logger = logging.getLogger("distributed")
    level = logger.level
    logger.setLevel(logging.ERROR)

    try:
        with dask.config.set(values()):
            yield
    finally:
        logger.setLevel(level)


def values() -> dict[str, object]:
    """Return the settings of Dask of the driver, and of workers."""
    return {
        # A run survives many dead workers: the results of tasks are in the store, so a retry is cheap.
        "distributed.scheduler.allowed-failures": 20,
        "distributed.nanny.pre-spawn-environ": ENVIRONMENT,
        # Pages for a browser, which every user of the machine could read.
        "distributed.scheduler.http.routes": [],
        "distributed.worker.http.routes": [],
        "distributed.worker.multiprocessing-method": method(),
        "distributed.worker.daemon": sys.platform != "win32",
        # Dask drops a dead worker for good after 15 s; on a busy machine its restart takes longer.
        "distributed.deploy.lost-worker-timeout": "1h",
        # Dask profiles itself for a dashboard that is off, and polls the memory of its workers: with three
        # workers that took 7 % of a core in an idle driver's process alone, and takes 1 % with these settings.
        "distributed.worker.profile.enabled": False,
        "distributed.admin.tick.interval": "1s",
        "distributed.admin.tick.cycle": "5s",
        "distributed.admin.system-monitor.interval": "5s",
        "distributed.worker.memory.monitor-interval": "500ms",
        # Dask keeps the last thousand messages for its developers, with the tasks and arguments in them.
        "distributed.admin.low-level-log-length": 10,
    }


def scratch() -> str:
    """Return a folder for the files of the workers of this machine, which no other user can write or read.

    Workers load pickles and modules from it. Dask's own folder has a fixed name, which another user of the machine may
    have created first.
    """
    import dask

    parent = dask.config.get("temporary-directory") or tempfile.gettempdir()
    if not hasattr(os, "getuid"):
        return str(parent)
    folder = own_folder(parent)
    # An existing entry of this name may be anything, e.g. a link.
    if make_own(folder) and not folder.lstat().st_mode & 0o077:
        return str(folder)
    own = tempfile.mkdtemp(prefix="ritz-", dir=parent)
    log.warning("%s is not a folder of this user alone; workers use %s", folder, own)
    return own
