from __future__ import annotations

import logging
import sys
import time
import warnings
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import AbstractContextManager, closing, contextmanager
from typing import TYPE_CHECKING, Annotated, Any, Literal
from urllib.parse import urlsplit

from pydantic import Field, field_validator

from compute.cluster.errors import ClusterError
from compute.kind import Kind, OneOf

if TYPE_CHECKING:
    from compute.cluster.cluster import Cluster

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

    @abstractmethod
    def open(self) -> AbstractContextManager[Cluster]:
        """Return a context manager that gives the connected `Cluster` and takes it down again.

        Raises
        ------
        ClusterError
            If it cannot be reached or lacks a role.
        """

    def check(self) -> None:
        """Raise what `open` would raise about a cluster that others run; nothing is started."""

    def limits(self) -> dict[str, int]:
        """Return the bytes of memory of the least worker of each role, and of the ``driver``, as far as they limit."""
        return {}


class Local(Profile):
    """Worker processes on this machine, reachable on the loopback interface only; no dashboard."""

    kind: Literal["local"] = "local"
    solve: Role = Field(Role(count=2), description="Workers that solve.")
    train: Role = Field(Role(), description="The worker that trains and evaluates; as many as `training.ranks`.")

    @field_validator("solve")
    @classmethod
    def _solves_on_the_cpu(cls, solve: Role) -> Role:
        if solve.device != "cpu":
            raise ValueError(f"device is {solve.device!r}, expected 'cpu': the solvers work there alone")
        return solve

    def check(self) -> None:
        """Refuse a device that this machine has not; see `Profile.check`."""
        if self.train.device != "cpu":
            from compute.training.precision import check_device

            try:
                check_device(self.train.device)
            except ValueError as error:
                raise ClusterError(f"profile.train.{error}") from error

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
    def open(self) -> Iterator[Cluster]:
        """Start scheduler and workers, connect, and stop them at the end."""
        from distributed import Client, Scheduler, SpecCluster
        from distributed.comm.inproc import global_manager

        from compute.cluster.apart import Apart, start_tracker
        from compute.cluster.cluster import Cluster

        # Dask names this process by the machine's address on the internet, and warns where there is none.
        with warnings.catch_warnings(action="ignore"):
            _ = global_manager.ip
        start_tracker()
        with _settings():
            workers = {}
            for name, role in (("solve", self.solve), ("train", self.train)):
                # A task takes the one resource of its worker, so it runs alone, with `threads` for the libraries
                # inside it.
                options: dict[str, Any] = {
                    "nthreads": 1,
                    "resources": {name: 1},
                    "memory_limit": role.memory,
                    "host": "127.0.0.1",
                    "dashboard_address": "127.0.0.1:0",
                    "silence_logs": logging.CRITICAL,
                    "preload": ["compute.cluster.priority", "compute.cluster.apart"],
                    "env": {f"{library}_NUM_THREADS": str(role.threads) for library in ("OMP", "MKL", "OPENBLAS")},
                }
                if name == "train":
                    # By which interface gloo connects workers that train together: by none that others can reach.
                    options["env"]["GLOO_SOCKET_IFNAME"] = "lo0" if sys.platform == "darwin" else "lo"
                for index in range(role.count):
                    workers[f"{name}-{index}"] = {"cls": Apart, "options": options}
            scheduler = {
                "cls": Scheduler,
                # The driver's own messages need no socket: they are a good third of all that it reads and writes.
                "options": {
                    "host": ["127.0.0.1", None],
                    "protocol": ["tcp", "inproc"],
                    "dashboard_address": "127.0.0.1:0",
                },
            }
            with (
                SpecCluster(
                    scheduler=scheduler, workers=workers, silence_logs=logging.ERROR, scheduler_sync_interval=60
                ) as spec,
                Client(_inproc(spec.scheduler), loop=spec.loop, set_as_default=False) as client,
                closing(Cluster(client, self.train.device)) as cluster,
            ):
                client.wait_for_workers(len(workers), timeout=120)
                yield cluster


class Attach(Profile):
    """A running Dask scheduler, whose workers offer the resources ``solve`` and ``train``.

    Start workers with ``dask worker ADDRESS --nthreads 1 --resources solve=1`` (or ``train=1``), in an
    environment where this package is installed and the store's URL means the same place.
    """

    kind: Literal["attach"] = "attach"
    address: str = Field(max_length=300, description="Address of the scheduler, e.g. 'tcp://10.0.0.5:8786'.")
    timeout: float = Field(30.0, gt=0, le=300, description="Seconds to wait for it, and for its workers.")
    device: Device = Field("cpu", description="Where the arrays of its `train` workers live.")

    @field_validator("address")
    @classmethod
    def _scheme_host_port(cls, address: str) -> str:
        parts = urlsplit(address if "://" in address else f"tcp://{address}")
        # A port that is no number below 65536 raises by itself.
        if not parts.hostname or not parts.port or parts.scheme not in ("tcp", "tls", "ws", "wss", "ucx"):
            raise ValueError("expected the address that `dask scheduler` prints, e.g. 'tcp://10.0.0.5:8786'")
        return address

    @contextmanager
    def open(self) -> Iterator[Cluster]:
        """Connect; the cluster stays when the run ends."""
        from distributed import Client

        from compute.cluster.cluster import Cluster

        with _settings():
            try:
                client = Client(self.address, timeout=self.timeout, set_as_default=False)
            except (OSError, ValueError) as error:
                raise ClusterError(
                    f"profile.address: no Dask scheduler answered at {self.address!r} within {self.timeout:g} s; "
                    "expected the address that `dask scheduler` prints, e.g. 'tcp://10.0.0.5:8786'"
                ) from error
            with client, closing(Cluster(client, self.device)) as cluster:
                until = time.monotonic() + self.timeout
                for role in ("solve", "train"):
                    # One that has died comes back by itself.
                    while not cluster.workers(role):
                        if time.monotonic() > until:
                            raise ClusterError(
                                f"profile.address: no worker at {self.address!r} offers the resource {role!r} within "
                                f"{self.timeout:g} s; start one with "
                                f"`dask worker {self.address} --nthreads 1 --resources {role}=1`"
                            )
                        time.sleep(LOOK)
                yield cluster

    def check(self) -> None:
        """Connect and let go."""
        with self.open():
            pass


AnyProfile = Annotated[Profile, OneOf(Profile, lambda: (Local, Attach))]


def _inproc(scheduler: Any) -> str:
    """Return the address of a scheduler for its own process."""
    addresses: Iterator[str] = (listener.contact_address for listener in scheduler.listeners)
    return next(address for address in addresses if address.startswith("inproc"))


@contextmanager
def _settings() -> Iterator[None]:
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
                # Dask makes malloc give memory back above 64 KiB. A training step then takes and returns the same
                # pages all the time and is 3 to 4 times slower; here windows bound what is in flight instead.
                # malloc reads this when a process starts: a worker's own `env` comes too late.
                "distributed.nanny.pre-spawn-environ": {
                    "MALLOC_TRIM_THRESHOLD_": 2**30,
                    "MALLOC_MMAP_THRESHOLD_": 2**30,
                },
                "distributed.worker.multiprocessing-method": "spawn",
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
