from __future__ import annotations

import logging
import os
import shutil
import sys
import tempfile
import time
import warnings
from abc import abstractmethod
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import Field, field_validator

from ritz.compute.cluster.batch.jobs import Jobs
from ritz.compute.cluster.batch.queue import BatchQueue
from ritz.compute.cluster.batch.request import JobRequest
from ritz.compute.cluster.batch.walltime import Lifetime, Walltime
from ritz.compute.cluster.dask_settings import settings
from ritz.compute.cluster.errors import ClusterError
from ritz.compute.cluster.presence import ROLES
from ritz.compute.cluster.profile import Profile, Role, wait_for
from ritz.compute.kind import Fault, in_units

if TYPE_CHECKING:
    from ritz.compute.cluster.cluster import Cluster

log = logging.getLogger("ritz")

DAY = 86400.0

TIMEOUT = 60.0
"""Seconds that the driver has to connect to the scheduler in its own process."""


class JobRole(Role):
    """Workers of one role, each in a job of its own with ``threads`` cores and ``memory``.

    ``memory: auto`` asks for no memory and takes the limit that the queue gives. What is given here and not None
    replaces what the profile says.
    """

    queue: str | None = Field(None, max_length=200, description="Queue (partition) of these jobs, if another one.")
    walltime: Walltime | None = Field(None, description="Walltime of these jobs, if another one.")
    directives: tuple[str, ...] = Field((), description="Further directives of these jobs, e.g. '--gres=gpu:1'.")


class Batch(Profile):
    """Jobs of a batch system, a worker each; scheduler and driver are one process, on a machine that submits jobs.

    Connections are encrypted as those of the profile ``local``. The certificate lies, for its owner alone, in a folder
    that all nodes share, as long as the run takes. Workers leave before the walltime of their jobs, and hand on what
    they hold; jobs that have ended for any reason are replaced.
    """

    solve: JobRole = Field(JobRole(count=4), description="Workers that solve systems.")
    train: JobRole = Field(JobRole(), description="Workers that train and evaluate; one per rank of `training.ranks`.")
    patience: float = Field(
        DAY,
        gt=0,
        description="Seconds that a run waits for a worker of a role, also while its jobs wait in the queue.",
        json_schema_extra=in_units("s"),
    )
    walltime: Walltime = Field("01:00:00", description="Walltime of a job, hours:minutes:seconds.")
    margin: float = Field(
        60.0,
        gt=0,
        description="Seconds before the end of its job at which a worker leaves at the latest.",
        json_schema_extra=in_units("s"),
    )
    queue: str | None = Field(None, max_length=200, description="Queue (partition); by default that of the system.")
    account: str | None = Field(None, max_length=200, description="Account (project) of the jobs.")
    directives: tuple[str, ...] = Field((), description="Further directives of all jobs, e.g. '--constraint=ib'.")
    prologue: tuple[str, ...] = Field((), description="Lines of a job's shell before its worker, e.g. 'module load x'.")
    python: str | None = Field(None, description="Python of the workers; by default the driver's, by the same path.")
    interface: str | None = Field(
        None, description="Network interface of scheduler and workers, e.g. 'ib0'; by default that to other machines."
    )
    port: int = Field(
        0, ge=0, le=65535, description="Port of the scheduler; 0 for any.", json_schema_extra=in_units("1")
    )
    folder: Path = Field(
        Path("~/.ritz/jobs"), description="Folder that all nodes share, for the certificate and the output of jobs."
    )

    @field_validator("solve")
    @classmethod
    def _solves_on_the_cpu(cls, solve: JobRole) -> JobRole:
        if solve.device != "cpu":
            raise ValueError(f"device is {solve.device!r}, expected 'cpu': the solvers work there alone")
        return solve

    @field_validator("directives", "prologue")
    @classmethod
    def _one_line_each(cls, lines: tuple[str, ...]) -> tuple[str, ...]:
        if any("\n" in line for line in lines):
            raise ValueError("expected one line per entry")
        return lines

    def faults(self) -> Iterator[Fault]:
        """Yield a margin that leaves nothing of a walltime."""
        for role in ROLES:
            try:
                Lifetime.within(self._role(role).walltime or self.walltime, self.margin)
            except ValueError as error:
                yield Fault(("margin", "walltime"), f"{role}: {error}")

    @abstractmethod
    def system(self) -> BatchQueue:
        """Return the batch system."""

    def check(self, roles: Sequence[str] = ROLES) -> None:
        """Refuse a machine that cannot submit jobs; see `Profile.check`."""
        del roles
        self.system().check()
        self._host()

    def limits(self) -> dict[str, int]:
        """Return the memory limits of the driver, and of the roles that ask for memory; see `Profile.limits`."""
        from dask.utils import parse_bytes
        from distributed.system import MEMORY_LIMIT

        asked = {name: self._role(name).memory for name in ROLES}
        known = {name: int(parse_bytes(memory)) for name, memory in asked.items() if memory not in ("auto", "0")}
        return {"driver": int(MEMORY_LIMIT), **known}

    def request(self, role: str, name: str, folder: Path) -> JobRequest:
        """Return what a job of a role is asked for.

        Parameters
        ----------
        role, name
            Role and name of its worker.
        folder
            For its output, with the certificate.
        """
        asked = self._role(role)
        walltime = asked.walltime or self.walltime
        return JobRequest(
            role=role,
            name=name,
            threads=asked.threads,
            memory=asked.memory,
            walltime=walltime,
            lifetime=Lifetime.within(walltime, self.margin),
            queue=asked.queue or self.queue,
            account=self.account,
            directives=self.directives + asked.directives,
            prologue=self.prologue,
            python=self.python or sys.executable,
            interface=self.interface,
            folder=folder,
        )

    @contextmanager
    def open(self, roles: Sequence[str] = ROLES) -> Iterator[Cluster]:
        """Submit the jobs, wait until every role has a worker, and cancel the jobs at the end; see `Profile.open`."""
        from distributed import Client, Scheduler, Security, SpecCluster
        from distributed.comm.inproc import global_manager

        from ritz.compute.cluster.batch.joined import Joined
        from ritz.compute.cluster.cluster import Cluster
        from ritz.compute.cluster.inproc import contact, inproc

        queue, host, security = self.system(), self._host(), Security.temporary()
        queue.check()
        begun = time.monotonic()
        with warnings.catch_warnings(action="ignore"):
            _ = global_manager.ip
        scheduler = {
            "cls": Scheduler,
            "options": {
                "host": [host, None],
                "port": [self.port, 0],
                "protocol": ["tls", "inproc"],
                "dashboard_address": "127.0.0.1:0",
                "preload": "ritz.compute.cluster.pages",
                "security": security,
            },
        }
        counts = {role: self._role(role).count for role in roles}
        with settings(), self._run_folder(security) as folder:
            started = SpecCluster(
                scheduler=scheduler,
                workers={},
                security=security,
                silence_logs=logging.ERROR,
                scheduler_sync_interval=60,
            )
            with (
                started as spec,
                Client(inproc(spec.scheduler), loop=spec.loop, security=security, set_as_default=False) as client,
            ):
                address = contact(spec.scheduler, "tls")

                def make(role: str, name: str) -> Any:
                    return queue.job(address, self.request(role, name, folder))

                joined = Joined()
                spec.scheduler.add_plugin(joined)
                jobs = Jobs(queue, make, spec.sync, lambda: joined.names)
                with (
                    closing(jobs),
                    closing(
                        Cluster(
                            client,
                            self.train.device,
                            patience=self.patience,
                            start=jobs.about,
                            trouble=jobs.trouble,
                            planned=counts,
                            begun=begun,
                        )
                    ) as cluster,
                ):
                    jobs.start(counts)
                    for role in roles:
                        log.info("%s: %s", role, jobs.about(role))
                    wait_for(cluster, roles, self.patience, "profile: ")
                    yield cluster

    def _role(self, name: str) -> JobRole:
        role: JobRole = getattr(self, name)
        return role

    def _host(self) -> str:
        """Return the address of this machine that the nodes reach."""
        from distributed.utils import get_ip, get_ip_interface

        if self.interface is None:
            with warnings.catch_warnings(action="ignore"):
                return str(get_ip())
        try:
            return str(get_ip_interface(self.interface))
        except ValueError as error:
            raise ClusterError(f"profile.interface: {error}") from None

    @contextmanager
    def _run_folder(self, security: Any) -> Iterator[Path]:
        """Give a folder of this user alone with the certificate; the output of jobs stays there if the run fails."""
        try:
            parent = self.folder.expanduser()
            parent.mkdir(parents=True, exist_ok=True)
            folder = Path(tempfile.mkdtemp(prefix="run-", dir=parent))
        except (OSError, RuntimeError) as error:
            raise ClusterError(
                f"profile.folder: {str(self.folder)!r} cannot be written ({error}); expected a folder that all nodes "
                "share"
            ) from error
        files = {
            "ca": security.tls_ca_file,
            "cert": security.tls_worker_cert,
            "key": security.tls_worker_key,
        }
        try:
            for name, text in files.items():
                with os.fdopen(
                    os.open(folder / f"{name}.pem", os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w"
                ) as file:
                    file.write(text)
            yield folder.resolve()
        except ClusterError:
            for name in files:
                (folder / f"{name}.pem").unlink(missing_ok=True)
            with suppress(OSError):
                # Only where no job has written anything.
                folder.rmdir()
            raise
        except BaseException:
            shutil.rmtree(folder, ignore_errors=True)
            raise
        else:
            shutil.rmtree(folder, ignore_errors=True)
