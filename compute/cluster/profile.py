from __future__ import annotations

import logging
import time
import warnings
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, Self
from urllib.parse import urlsplit

from pydantic import Field, field_validator, model_validator

from compute.cluster.errors import ClusterError
from compute.cluster.presence import PATIENCE, ROLES, connection
from compute.cluster.settings import scratch, settings
from compute.kind import Kind, OneOf

if TYPE_CHECKING:
    from compute.cluster.cluster import Cluster

Device = Literal["cpu", "cuda", "mps"]

log = logging.getLogger("ritz")

EXAMPLE = "tcp://10.0.0.5:8786"

START = 120.0
"""Seconds that workers of this machine may take to start."""

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

    def limits(self) -> dict[str, int]:
        """Return the bytes of memory of the least worker of each role, and of the ``driver``, as far as they limit."""
        return {}


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
    def open(self, roles: Sequence[str] = ROLES) -> Iterator[Cluster]:
        """Start scheduler and workers, connect, and stop them at the end; see `Profile.open`."""
        import dask
        from distributed import Client, Scheduler, SpecCluster
        from distributed.comm.inproc import global_manager

        from compute.cluster.apart import Apart, start_tracker
        from compute.cluster.cluster import Cluster

        # Dask names this process by the machine's address on the internet, and warns where there is none.
        with warnings.catch_warnings(action="ignore"):
            _ = global_manager.ip
        start_tracker()
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
                    "preload": [f"compute.cluster.{part}" for part in ("priority", "apart", "pages")],
                    "security": security,
                    "env": {f"{library}_NUM_THREADS": str(role.threads) for library in ("OMP", "MKL", "OPENBLAS")},
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
                    "preload": "compute.cluster.pages",
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
                    _wait_for(cluster, roles, START, "profile: on this machine ")
                    yield cluster

    def _transport(self) -> tuple[str, Any]:
        """Return by what, and with which certificate, what goes through sockets does so."""
        from distributed import Security

        return "tls", Security.temporary()


class Attach(Profile):
    """A running Dask scheduler, whose workers offer the resources ``solve`` and ``train``.

    Start workers with ``dask worker ADDRESS --nthreads 1 --resources solve=1`` (or ``train=1``), in an
    environment with the same versions of this package and of what it computes with, where the store's URL means the
    same place. Whoever reaches the port of a scheduler without TLS runs code as its owner.
    """

    kind: Literal["attach"] = "attach"
    address: str = Field(max_length=300, description=f"Address of the scheduler, e.g. '{EXAMPLE}'.")
    timeout: float = Field(30.0, gt=0, le=300, description="Seconds to wait for it, and for its workers.")
    device: Device = Field("cpu", description="Where the arrays of its `train` workers live.")
    ca: Path | None = Field(None, description="File with the certificate that signs those of the cluster, with tls://.")
    cert: Path | None = Field(None, description="File with a certificate signed by it.")
    key: Path | None = Field(None, description="File with the key of that certificate; for its owner alone.")

    @field_validator("address")
    @classmethod
    def _scheme_host_port(cls, address: str) -> str:
        parts = urlsplit(address if "://" in address else f"tcp://{address}")
        # A port that is no number below 65536 raises by itself.
        if not parts.hostname or not parts.port or parts.scheme not in ("tcp", "tls", "ws", "wss", "ucx"):
            raise ValueError(f"expected the address that `dask scheduler` prints, e.g. '{EXAMPLE}'")
        return address

    @model_validator(mode="after")
    def _all_or_none(self) -> Self:
        given = [name for name in ("ca", "cert", "key") if getattr(self, name) is not None]
        if given and len(given) < 3:
            raise ValueError(f"of ca, cert and key only {' and '.join(given)} is given, expected all three")
        if given and not self.address.startswith(("tls://", "wss://")):
            raise ValueError(f"address is {self.address!r}, expected one that begins with tls:// where ca is given")
        return self

    @contextmanager
    def open(self, roles: Sequence[str] = ROLES) -> Iterator[Cluster]:
        """Connect; the cluster stays when the run ends. See `Profile.open`."""
        if not self._encrypts:
            log.warning(
                "profile.address: %r is not encrypted: whoever reaches its port runs code as the owner of its workers; "
                "expected tls://, with ca, cert and key",
                self.address,
            )
        elif self.key is not None and self.key.exists() and self.key.stat().st_mode & 0o004:
            log.warning("profile.key: %r can be read by everybody; expected mode 0600", str(self.key))
        with self._connected(roles) as cluster:
            yield cluster

    def check(self, roles: Sequence[str] = ROLES) -> None:
        """Connect and let go."""
        with self._connected(roles):
            pass

    @property
    def _encrypts(self) -> bool:
        return self.address.startswith(("tls://", "wss://"))

    @contextmanager
    def _connected(self, roles: Sequence[str]) -> Iterator[Cluster]:
        from distributed import Client
        from distributed.versions import VersionMismatchWarning

        from compute.cluster.cluster import Cluster

        with settings():
            security = self._security()
            try:
                # Which versions differ, and what follows, is said where workers are admitted.
                with warnings.catch_warnings(action="ignore", category=VersionMismatchWarning):
                    client = Client(self.address, timeout=self.timeout, security=security, set_as_default=False)
            except (OSError, ValueError) as error:
                trust = "a certificate of profile.ca, and" if self._encrypts else "no TLS, and else an address with"
                raise ClusterError(
                    f"profile.address: no Dask scheduler answered at {self.address!r} within {self.timeout:g} s; "
                    f"expected the address that `dask scheduler` prints, e.g. '{EXAMPLE}', and there {trust} tls://"
                ) from error
            is_connected = connection(client)
            with client:
                try:
                    with closing(Cluster(client, self.device, patience=self.patience, start=self._start)) as cluster:
                        _wait_for(cluster, roles, self.timeout, f"profile.address: at {self.address!r} ")
                        yield cluster
                except Exception as error:
                    if is_connected():
                        raise
                    # Whatever failed first, this is why. The client tries to connect again until it is closed.
                    with _silent("distributed.client"):
                        client.close()
                    raise ClusterError(
                        f"profile.address: the scheduler at {self.address!r} is gone; what is committed is kept, the "
                        "same command goes on from there when it is back"
                    ) from error

    def _security(self) -> Any:
        """Return the TLS of the client: that of the profile, or else what Dask's own configuration says."""
        from distributed import Security

        from compute.cluster.encryption import from_files

        if self.ca is not None and self.cert is not None and self.key is not None:
            try:
                return from_files(self.ca, self.cert, self.key)
            except ValueError as error:
                raise ClusterError(f"profile.{error}") from error
        configured: Any = Security()
        if self._encrypts and not (configured.tls_ca_file and configured.tls_client_cert):
            raise ClusterError(
                f"profile.ca: is not given; expected, in the file of a profile with the address {self.address!r}, the "
                "files ca, cert and key of its cluster"
            )
        return configured

    def _start(self, role: str) -> str:
        tls = f" --tls-ca-file {self.ca} --tls-cert … --tls-key …" if self._encrypts else ""
        return f"start one with `dask worker {self.address}{tls} --nthreads 1 --resources {role}=1`"


AnyProfile = Annotated[Profile, OneOf(Profile, lambda: (Local, Attach))]


def _wait_for(cluster: Cluster, roles: Sequence[str], timeout: float, place: str) -> None:
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


@contextmanager
def _silent(name: str) -> Iterator[None]:
    """Let a logger say nothing meanwhile."""
    logger = logging.getLogger(name)
    level = logger.level
    logger.setLevel(logging.CRITICAL + 1)
    try:
        yield
    finally:
        logger.setLevel(level)


def _inproc(scheduler: Any) -> str:
    """Return the address of a scheduler for its own process."""
    addresses: Iterator[str] = (listener.contact_address for listener in scheduler.listeners)
    return next(address for address in addresses if address.startswith("inproc"))
