from __future__ import annotations

import logging
import os
import warnings
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field, field_validator

from ritz.compute.cluster import forking
from ritz.compute.cluster.errors import ClusterError
from ritz.compute.cluster.presence import ROLES
from ritz.compute.cluster.profile import Profile, Role, wait_for
from ritz.compute.cluster.settings import scratch, settings

if TYPE_CHECKING:
    from ritz.compute.cluster.cluster import Cluster

START = 120.0
"""Seconds that workers of this machine may take to start."""


class Local(Profile):
    """Worker processes on this machine, reachable on the loopback interface only; no dashboard.

    Others who use the machine reach that interface too. So all that goes through a socket is encrypted, and only who
    has the certificate that is made for this cluster can connect: it stays in memory, workers get it through a pipe.
    """

    kind: Literal["local"] = "local"
    solve: Role = Field(Role(count=2), description="Workers that solve.")
    train: Role = Field(Role(), description="The worker that trains and evaluates; as many as `training.ranks`.")

    @field_validator("solve")
    @classmethod
    def _solves_on_the_cpu(cls, solve: Role) -> Role:
        if solve.device != "cpu":
            raise ValueError(f"device is {solve.device!r}, expected 'cpu': the solvers work there alone")
        return solve

    def check(self, roles: Sequence[str] = ROLES) -> None:
        """Refuse a device that this machine has not; see `Profile.check`."""
        if "train" in roles and self.train.device != "cpu":
            from ritz.compute.training.precision import check_device

            try:
                check_device(self.train.device)
            except ValueError as error:
                raise ClusterError(f"profile.train.{error}") from error

    def ahead(self, modules: Sequence[str]) -> None:
        """Begin to load what the workers will need; see `Profile.ahead`."""
        forking.start(modules)

    def limits(self) -> dict[str, int]:
        """Return what this machine and the profile allow; see `Profile.limits`."""
        from distributed.system import MEMORY_LIMIT
        from distributed.worker_memory import parse_memory_limit

        # A group of processes that has less memory than the machine counts here too.
        found = {"driver": MEMORY_LIMIT}
        for name, role in (("solve", self.solve), ("train", self.train)):
            limit = parse_memory_limit(role.memory, 1, logger=logging.getLogger(__name__))
            found[name] = MEMORY_LIMIT if limit is None else limit
        return found

    @contextmanager
    def open(self, roles: Sequence[str] = ROLES) -> Iterator[Cluster]:
        """Start scheduler and workers, connect, and stop them at the end; see `Profile.open`."""
        import dask
        from distributed import Client, Scheduler, SpecCluster
        from distributed.comm.inproc import global_manager

        from ritz.compute.cluster.apart import Apart
        from ritz.compute.cluster.cluster import Cluster

        # Dask names this process by the machine's address on the internet, and warns where there is none.
        with warnings.catch_warnings(action="ignore"):
            _ = global_manager.ip
        forking.start()
        with settings():
            (scheme, security), folder = self._transport(), scratch()
            workers = {}
            for name in roles:
                role: Role = getattr(self, name)
                # A task takes the one resource of its worker, so it runs alone, with `threads` for the libraries
                # inside it.
                options: dict[str, Any] = {
                    "nthreads": 1,
                    "resources": {name: 1},
                    "memory_limit": role.memory,
                    "local_directory": folder,
                    "host": "127.0.0.1",
                    "dashboard_address": "127.0.0.1:0",
                    "silence_logs": logging.CRITICAL,
                    "preload": [f"ritz.compute.cluster.{part}" for part in ("priority", "apart", "pages")],
                    "security": security,
                    # What this process was told since there is one to fork from, too.
                    "env": {**os.environ, **dict.fromkeys(forking.THREADS, str(role.threads))},
                }
                for index in range(role.count):
                    workers[f"{name}-{index}"] = {"cls": Apart, "options": options}
            scheduler = {
                "cls": Scheduler,
                # The driver's own messages need no socket: they are a good third of all that it reads and writes.
                "options": {
                    "host": ["127.0.0.1", None],
                    "protocol": [scheme, "inproc"],
                    "dashboard_address": "127.0.0.1:0",
                    "preload": "ritz.compute.cluster.pages",
                    "security": security,
                },
            }
            # What is set here now holds in the workers for good; this process may have other clusters.
            with dask.config.set({"distributed.comm.require-encryption": security.require_encryption}):
                started = SpecCluster(
                    scheduler=scheduler,
                    workers=workers,
                    security=security,
                    silence_logs=logging.ERROR,
                    scheduler_sync_interval=60,
                )
            with (
                started as spec,
                Client(_inproc(spec.scheduler), loop=spec.loop, security=security, set_as_default=False) as client,
            ):
                client.wait_for_workers(len(workers), timeout=START)
                with closing(Cluster(client, self.train.device, patience=self.patience)) as cluster:
                    wait_for(cluster, roles, START, "profile: on this machine ")
                    yield cluster

    def _transport(self) -> tuple[str, Any]:
        """Return by what, and with which certificate, what goes through sockets does so."""
        from distributed import Security

        return "tls", Security.temporary()


def _inproc(scheduler: Any) -> str:
    """Return the address of a scheduler for its own process."""
    addresses: Iterator[str] = (listener.contact_address for listener in scheduler.listeners)
    return next(address for address in addresses if address.startswith("inproc"))
