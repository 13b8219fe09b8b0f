from __future__ import annotations

import time

from distributed import Client, get_client, get_worker

TRIES = 5
"""How often a task tries to connect to its scheduler, each time for as long as Dask's own timeout allows."""

PAUSE = 1.0
"""Seconds from one try to the next."""


class Unreached(RuntimeError):
    """A task could not connect to the scheduler; it can be started again."""


def task_client() -> Client:
    """Return the client of the worker on which this task runs, connected to its scheduler.

    Raises
    ------
    Unreached
        If that failed again and again, as it may on a machine that has too much to do.
    """
    worker, failed = get_worker(), ""
    for number in range(TRIES):
        time.sleep(PAUSE if number else 0)
        # Dask would hand out again what it has closed.
        if worker._client is not None and worker._client.status == "closed":
            worker._client = None
        try:
            client = get_client()
        except (AssertionError, OSError) as error:
            # Dask asserts that the answer of the scheduler is the one it waits for.
            failed = repr(error)
        else:
            if client.status == "running":
                return client
            failed = f"the client is {client.status}"
    raise Unreached(f"{worker.address} could not connect to its scheduler in {TRIES} tries: {failed}")
