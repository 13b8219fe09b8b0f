from __future__ import annotations

import logging
import os
import time
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field, field_validator, model_validator

from ritz.compute.cluster import forking
from ritz.compute.cluster.dask_settings import scratch, settings
from ritz.compute.cluster.errors import ClusterError
from ritz.compute.cluster.machine import AUTO, fitting
from ritz.compute.cluster.presence import ROLES
from ritz.compute.cluster.profile import Profile, Role, wait_for

if TYPE_CHECKING:
    from ritz.compute.cluster.cluster import Cluster

START = 120.0
"""Seconds that the workers of this machine have to start."""


class Local(Profile):
    """Worker processes on this machine, reachable on the loopback interface only; no dashboard.

    Other users of the machine reach that interface too. So all connections through sockets are encrypted, and a process
    needs the certificate of this cluster to connect: it stays in memory, and reaches the workers through a pipe.
    """

    kind: Literal["local"] = "local"
    solve: Role = Field(
        Role(count=2), description="Workers that solve systems; `count: auto` for as many as the machine has room for."
    )
    train: Role = Field(Role(), description="Workers that train and evaluate; one per rank of `training.ranks`.")

    @model_validator(mode="before")
    @classmethod
    def _counted(cls, given: Any) -> Any:
        solve = given.get("solve") if isinstance(given, Mapping) else None
        if not isinstance(solve, Mapping) or solve.get("count") != AUTO:
            return given
        train = given.get("train", {})
        beside = train.model_dump() if isinstance(train, Role) else train if isinstance(train, Mapping) else {}
        return {**given, "solve": {**solve, "count": fitting(solve, beside)}}

    @field_validator("solve")
    @classmethod
    def _solves_on_the_cpu(cls, solve: Role) -> Role:
        if solve.device != "cpu":
            raise ValueError(f"device is {solve.device!r}, expected 'cpu': the solvers work there alone")
        return solve

    def check(self, roles: Sequence[str] = ROLES) -> None:
        """Refuse a device that this machine lacks; see `Profile.check`."""
        if "train" in roles and self.train.device != "cpu":
            from ritz.compute.training.parts.precision import check_device

            try:
                check_device(self.train.device)
            except ValueError as error:
                raise ClusterError(f"profile.train.{error}") from error

    def ahead(self, modules: Sequence[str]) -> None:
        """Start to load the modules of the workers; see `Profile.ahead`."""
        forking.start(modules)

    def limits(self) -> dict[str, int]:
        """Return the limits of this machine and of the profile; see `Profile.limits`."""
        from distributed.system import MEMORY_LIMIT
        from distributed.worker_memory import parse_memory_limit

        # MEMORY_LIMIT respects the limits of a control group.
        limits = {"driver": MEMORY_LIMIT}
        for name, role in (("solve", self.solve), ("train", self.train)):
            limit = parse_memory_limit(role.memory, 1, logger=logging.getLogger(__name__))
            limits[name] = MEMORY_LIMIT if limit is None else limit
        return limits

    @contextmanager
    def open(self, roles: Sequence[str] = ROLES) -> Iterator[Cluster]:
        """Start scheduler and workers, connect, and stop them at the end; see `Profile.open`."""
        import dask
        from distributed import Client, Scheduler, SpecCluster
        from distributed.comm.inproc import global_manager

        from ritz.compute.cluster.cluster import Cluster
        from ritz.compute.cluster.detached import DetachedNanny
        from ritz.compute.cluster.inproc import inproc

        # Dask names this process after the machine's address on the internet, and warns if it has none.
        with warnings.catch_warnings(action="ignore"):
            _ = global_manager.ip
        forking.start()
        begun = time.monotonic()
        with settings():
            (scheme, security), folder = self._transport(), scratch()
            workers = {}
            for name in roles:
                role: Role = getattr(self, name)
                # A task requires the one resource of its worker, so it runs alone; `threads` are for the libraries.
                options: dict[str, Any] = {
                    "nthreads": 1,
                    "resources": {name: 1},
                    "memory_limit": role.memory,
                    "local_directory": folder,
                    "host": "127.0.0.1",
                    "dashboard_address": "127.0.0.1:0",
                    "silence_logs": logging.CRITICAL,
                    "preload": [f"ritz.compute.cluster.{part}" for part in ("priority", "detached", "pages")],
                    "security": security,
                    # Also variables set since the fork server started.
                    "env": {**os.environ, **dict.fromkeys(forking.THREADS, str(role.threads))},
                }
                for index in range(role.count):
                    workers[f"{name}-{index}"] = {"cls": DetachedNanny, "options": options}
            scheduler = {
                "cls": Scheduler,
                # The driver's own messages need no socket: they are a third of its traffic.
                "options": {
                    "host": ["127.0.0.1", None],
                    "protocol": [scheme, "inproc"],
                    "dashboard_address": "127.0.0.1:0",
                    "preload": "ritz.compute.cluster.pages",
                    "security": security,
                },
            }
            # The workers inherit this setting for good; this process may have other clusters.
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
                Client(inproc(spec.scheduler), loop=spec.loop, security=security, set_as_default=False) as client,
            ):
                client.wait_for_workers(len(workers), timeout=START)
                with closing(Cluster(client, self.train.device, patience=self.patience, begun=begun)) as cluster:
                    wait_for(cluster, roles, START, "profile: on this machine ")
                    yield cluster

    def _transport(self) -> tuple[str, Any]:
        """Return the protocol of the sockets, and how connections through them are encrypted."""
        from distributed import Security

        return "tls", Security.temporary()
