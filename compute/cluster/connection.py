from __future__ import annotations

import time

from distributed import Client, get_client, get_worker

TRIES = 5
"""Attempts of a task to connect to its scheduler, each as long as Dask's own timeout."""

PAUSE = 1.0
"""Seconds from one attempt to the next."""


class Unreached(RuntimeError):
    """A task could not connect to the scheduler; the driver can restart the task."""


def task_client() -> Client:
    """Return the client of the worker on which this task runs, connected to its scheduler.

    Raises
    ------
    Unreached
        If all `TRIES` attempts fail, e.g. on an overloaded machine.
    """
    worker, failed = get_worker(), ""
    for number in range(TRIES):
        time.sleep(PAUSE if number else 0)
        # Dask would return a client again that it has closed.
        if worker._client is not None and worker._client.status == "closed":
            worker._client = None
        try:
            client = get_client()
        except (AssertionError, OSError) as error:
            # Dask asserts that the scheduler answers the message it has just sent.
            failed = repr(error)
        else:
            if client.status == "running":
                return client
            failed = f"the client is {client.status}"
    raise Unreached(f"{worker.address} could not connect to its scheduler in {TRIES} tries: {failed}")
