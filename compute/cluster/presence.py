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
"""What workers do: each offers the resource of a role."""

LOOK = 1.0
"""Seconds between two looks whether a role has workers."""

NOTICE = 60.0
"""Seconds without a worker of a role after which that is said."""

PATIENCE = 600.0
"""Seconds without a worker of a role after which work for it is given up, unless a profile says otherwise."""


def connection(client: Client) -> Callable[[], bool]:
    """Return what says whether a client still has the connection that it has now.

    One that has lost it and connects again finds a scheduler that knows of none of its work any more.
    """
    comm = client.scheduler_comm
    return lambda: client.status == "running" and client.scheduler_comm is comm


class Presence:
    """Whether the scheduler, and workers for the work that is waited for, are still there.

    Without either, Dask waits for ever and says nothing: a worker may join at any time.

    Parameters
    ----------
    client : distributed.Client
        The driver's client.
    workers
        Returns how many workers a role has now.
    patience
        Seconds without one after which `check` gives up.
    start
        Returns how one starts a worker of a role, for messages.
    """

    def __init__(
        self, client: Client, workers: Callable[[str], int], patience: float, start: Callable[[str], str]
    ) -> None:
        self.has_scheduler = connection(client)
        self._workers, self._patience, self._start = workers, patience, start
        self._looked: dict[str, float] = {}
        self._since: dict[str, float] = {}
        self._noticed: set[str] = set()

    def check(self, role: str, least: int = 1) -> None:
        """Look after those who work for a role; to be called again and again by whoever waits for them.

        Parameters
        ----------
        least
            How many workers the work takes.

        Raises
        ------
        ClusterError
            If the scheduler is gone, or there have been too few workers of the role for too long.
        """
        if not self.has_scheduler():
            raise ClusterError("the connection to the scheduler is lost")
        now = time.monotonic()
        if now - self._looked.get(role, float("-inf")) < LOOK:
            return
        self._looked[role] = now
        there = self._workers(role)
        if there >= least:
            self._since.pop(role, None)
            self._noticed.discard(role)
            return
        absent = now - self._since.setdefault(role, now)
        count = f"{there} workers offer" if there else "no worker offers"
        missing = f"{count} the resource {role!r}" + (f", expected {least}" if least > 1 else "")
        if absent > self._patience:
            raise ClusterError(
                f"{missing}, for {absent:.0f} s (profile.patience is {self._patience:g}); {self._start(role)}; "
                "what is committed is kept, the same command goes on from there"
            )
        if absent > NOTICE and role not in self._noticed:
            self._noticed.add(role)
            left = self._patience - absent
            log.warning("%s; waiting %.0f s more (profile.patience); %s", missing, left, self._start(role))
