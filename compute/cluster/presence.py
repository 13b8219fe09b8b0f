from __future__ import annotations

import logging
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from ritz.compute.cluster.errors import ClusterError

if TYPE_CHECKING:
    from distributed import Client

log = logging.getLogger("ritz")

ROLES = ("solve", "train")
"""Roles of workers; each worker offers the resource of its role."""

CHECK_EVERY = 1.0
"""Seconds between two counts of the workers of a role."""

NOTICE = 60.0
"""Seconds without a worker of a role before a warning."""

PATIENCE = 600.0
"""Seconds without a worker of a role before its tasks are given up; the default of `profile.patience`."""


def connection(client: Client) -> Callable[[], bool]:
    """Return a function that tells whether a client still has the connection that it has now.

    A client that connects again finds a scheduler that has forgotten all its tasks.
    """
    comm = client.scheduler_comm
    return lambda: client.status == "running" and client.scheduler_comm is comm


class Presence:
    """Watches the scheduler and the workers of the awaited role.

    Without either, Dask waits for ever without a message: a worker may join at any time.

    Parameters
    ----------
    client : distributed.Client
        The driver's client.
    workers
        Returns the number of workers of a role now.
    patience
        Seconds without a worker before `check` raises.
    start
        Returns how to start a worker of a role, for messages.
    trouble
        Returns why no worker of a role will come, empty while one may.
    """

    def __init__(
        self,
        client: Client,
        workers: Callable[[str], int],
        patience: float,
        start: Callable[[str], str],
        trouble: Callable[[str], str] = "".format,
    ) -> None:
        self.has_scheduler = connection(client)
        self._workers, self._patience, self._start, self.trouble = workers, patience, start, trouble
        self._checked: dict[str, float] = {}
        self._since: dict[str, float] = {}
        self._warned: set[str] = set()

    def check(self, role: str, minimum: int = 1) -> None:
        """Check the scheduler and the workers of a role; the caller repeats this while it waits for a task.

        Parameters
        ----------
        minimum
            Number of workers that the tasks need.

        Raises
        ------
        ClusterError
            If the scheduler is gone, or there have been too few workers of the role for too long, or none will come.
        """
        if not self.has_scheduler():
            raise ClusterError("the connection to the scheduler is lost")
        now = time.monotonic()
        if now - self._checked.get(role, float("-inf")) < CHECK_EVERY:
            return
        self._checked[role] = now
        count = self._workers(role)
        if count >= minimum:
            self._since.pop(role, None)
            self._warned.discard(role)
            return
        absent = now - self._since.setdefault(role, now)
        offer = f"{count} workers offer" if count else "no worker offers"
        missing = f"{offer} the resource {role!r}" + (f", expected {minimum}" if minimum > 1 else "")
        if trouble := self.trouble(role):
            raise ClusterError(f"{missing}: {trouble}; committed work is kept, the same command goes on from there")
        if absent > self._patience:
            raise ClusterError(
                f"{missing}, for {absent:.0f} s (profile.patience is {self._patience:g}); {self._start(role)}; "
                "committed work is kept, the same command goes on from there"
            )
        if absent > NOTICE and role not in self._warned:
            self._warned.add(role)
            left = self._patience - absent
            log.warning("%s; waiting %.0f s more (profile.patience); %s", missing, left, self._start(role))
