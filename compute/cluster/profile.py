from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections.abc import Sequence
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Literal

from pydantic import Field, field_validator

from ritz.compute.cluster.errors import ClusterError
from ritz.compute.cluster.presence import PATIENCE, ROLES
from ritz.compute.kind import Kind, in_units

if TYPE_CHECKING:
    from ritz.compute.cluster.cluster import Cluster

Device = Literal["cpu", "cuda", "mps"]

POLL = 0.2
"""Seconds between two counts of the workers of a running cluster."""


class Role(Kind):
    """Workers of one role."""

    count: int = Field(1, gt=0, description="Number of worker processes.")
    threads: int = Field(1, gt=0, description="Threads of the numeric libraries in each.")
    memory: str = Field(
        "auto", description="Memory limit of each, as Dask reads it ('4GiB'), or 'auto', or '0' for none."
    )
    device: Device = Field("cpu", description="Device of its arrays: `cuda` and `mps` for training only.")

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
    """Compute resources of a run: a set of roles, which `open` turns into a connected cluster."""

    kind: str
    patience: float = Field(
        PATIENCE,
        gt=0,
        description="Seconds that a run waits for a worker of a role before it ends with an error.",
    )
    time_limit: float | None = Field(
        None,
        gt=0,
        description="Seconds after which a run ends with its work committed; the same command goes on from there.",
        json_schema_extra=in_units("s"),
    )

    @abstractmethod
    def open(self, roles: Sequence[str] = ROLES) -> AbstractContextManager[Cluster]:
        """Return a context manager that yields the connected `Cluster` and disconnects it at the end.

        Parameters
        ----------
        roles
            Roles that the run needs; workers of other roles are neither started nor awaited.

        Raises
        ------
        ClusterError
            If it cannot be reached, lacks a role, or its workers have other versions than this process; also when the
            scheduler is lost later.
        """

    def check(self, roles: Sequence[str] = ROLES) -> None:
        """Raise what `open` would raise about a running cluster; start nothing."""

    def ahead(self, modules: Sequence[str]) -> None:
        """Begin to load ``modules`` for the workers that `open` will start on this machine, if any; returns at once.

        They must start no thread when they are loaded.
        """

    def limits(self) -> dict[str, int]:
        """Return the memory limits in bytes: of the smallest worker per role, and of the ``driver``."""
        return {}


def wait_for(cluster: Cluster, roles: Sequence[str], timeout: float, place: str) -> None:
    """Wait until every role has a worker; Dask restarts dead workers.

    Raises
    ------
    ClusterError
        If a role has no worker in time and none will come, or only workers of other versions.
    """
    until = time.monotonic() + timeout
    for role in roles:
        while not cluster.workers(role):
            refused = cluster.refused(role)
            if refused:
                raise ClusterError(
                    f"{place}{'; '.join(refused)}, as this process has; start it in the same environment"
                )
            if trouble := cluster.presence.trouble(role):
                raise ClusterError(f"{place}{trouble}")
            if time.monotonic() > until:
                raise ClusterError(
                    f"{place}no worker offers the resource {role!r} within {timeout:g} s; {cluster.start(role)}"
                )
            time.sleep(POLL)
