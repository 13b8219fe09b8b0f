from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections.abc import Sequence
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Literal

from pydantic import Field, field_validator

from ritz.compute.cluster.errors import ClusterError
from ritz.compute.cluster.presence import PATIENCE, ROLES
from ritz.compute.kind import Kind

if TYPE_CHECKING:
    from ritz.compute.cluster.cluster import Cluster

Device = Literal["cpu", "cuda", "mps"]

LOOK = 0.2
"""Seconds between two looks whether the workers of a running cluster are there."""


class Role(Kind):
    """Workers that take one sort of work."""

    count: int = Field(1, gt=0, description="Number of worker processes.")
    threads: int = Field(1, gt=0, description="Threads of the numeric libraries in each.")
    memory: str = Field(
        "auto", description="Memory limit of each, as Dask reads it ('4GiB'), or 'auto', or '0' for none."
    )
    device: Device = Field("cpu", description="Where its arrays live: `cuda` and `mps` for training only.")

    @field_validator("memory")
    @classmethod
    def _readable(cls, memory: str) -> str:
        if memory != "auto":
            from dask.utils import parse_bytes

            try:
                parse_bytes(memory)
            except ValueError:
                raise ValueError("expected a size such as '4GiB', 'auto', or '0' for no limit") from None
        return memory


class Profile(Kind, ABC):
    """On what a run computes: a set of roles, turned into a connected cluster."""

    kind: str
    patience: float = Field(
        PATIENCE,
        gt=0,
        description="Seconds that a run waits for a worker of a role that it needs when none is left, before it ends.",
    )

    @abstractmethod
    def open(self, roles: Sequence[str] = ROLES) -> AbstractContextManager[Cluster]:
        """Return a context manager that gives the connected `Cluster` and takes it down again.

        Parameters
        ----------
        roles
            Those that are needed: nobody waits for the others, and none of them is started.

        Raises
        ------
        ClusterError
            If it cannot be reached, lacks a role, or its workers compute with other versions than this process; also
            when the scheduler is lost meanwhile.
        """

    def check(self, roles: Sequence[str] = ROLES) -> None:
        """Raise what `open` would raise about a cluster that others run; nothing is started."""

    def ahead(self, modules: Sequence[str]) -> None:
        """Begin to load ``modules`` for the workers that `open` will start on this machine, if any; returns at once.

        They must start no thread when they are loaded.
        """

    def limits(self) -> dict[str, int]:
        """Return the bytes of memory of the least worker of each role, and of the ``driver``, as far as they limit."""
        return {}


def wait_for(cluster: Cluster, roles: Sequence[str], timeout: float, place: str) -> None:
    """Wait until every role has a worker; one that has died comes back by itself.

    Raises
    ------
    ClusterError
        If there is none in time, or only such that compute with other versions.
    """
    until = time.monotonic() + timeout
    for role in roles:
        while not cluster.workers(role):
            refused = cluster.refused(role)
            if refused:
                raise ClusterError(
                    f"{place}{'; '.join(refused)}, as this process has; start it in the same environment"
                )
            if time.monotonic() > until:
                raise ClusterError(
                    f"{place}no worker offers the resource {role!r} within {timeout:g} s; {cluster.start(role)}"
                )
            time.sleep(LOOK)
