from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from ritz.compute.cluster.batch.leaving import LEAVES_AFTER
from ritz.compute.cluster.batch.walltime import Lifetime
from ritz.compute.cluster.forking import THREADS

DEATH_TIMEOUT = 60
"""Seconds after which a worker without a scheduler ends, and its job with it."""


@dataclass(frozen=True)
class JobRequest:
    """What a job of one worker is asked for.

    Attributes
    ----------
    name
        Of the worker, another one for every job.
    threads
        Cores of the job, and threads of its numeric libraries.
    memory
        Memory of the job and limit of the worker, as Dask reads it; ``auto`` for what the queue gives, ``0`` for no
        limit.
    lifetime
        When the worker leaves.
    prologue
        Lines of the shell before the worker starts.
    folder
        Folder for the output of the job, which all nodes share; ``ca.pem``, ``cert.pem`` and ``key.pem`` lie there.
    """

    role: str
    name: str
    threads: int
    memory: str
    walltime: str
    lifetime: Lifetime
    queue: str | None
    account: str | None
    directives: tuple[str, ...]
    prologue: tuple[str, ...]
    python: str
    interface: str | None
    folder: Path

    @property
    def limited(self) -> bool:
        """Whether the job asks for memory."""
        return self.memory not in ("auto", "0")

    def worker(self) -> list[str]:
        """Return the arguments of the worker beside those that dask-jobqueue gives: address, name, threads, memory."""
        mean, stagger, _ = self.lifetime
        return [
            *("--resources", f"{self.role}=1"),
            *("--lifetime", f"{mean:.0f}s", "--lifetime-stagger", f"{stagger:.0f}s"),
            *("--preload", "ritz.compute.cluster.batch.leaving", "--preload", "ritz.compute.cluster.pages"),
            *("--dashboard-address", "127.0.0.1:0", "--protocol", "tls"),
            *("--tls-ca-file", self._file("ca"), "--tls-cert", self._file("cert"), "--tls-key", self._file("key")),
            *(("--interface", self.interface) if self.interface is not None else ()),
        ]

    def environment(self) -> dict[str, str]:
        """Return the variables of the worker's process."""
        return {
            **dict.fromkeys(THREADS, str(self.threads)),
            # The folder in which a job starts may be one where others write.
            "PYTHONSAFEPATH": "1",
            LEAVES_AFTER: f"{self.lifetime.latest:.0f}",
        }

    def options(self) -> dict[str, object]:
        """Return the arguments of a job of dask-jobqueue that all batch systems share."""
        return {
            "name": self.name,
            "job_name": f"ritz-{self.role}",
            # A worker runs one task at a time; the cores of its job are for the numeric libraries.
            "cores": 1,
            "processes": 1,
            "memory": self.memory if self.limited else "1GiB",
            "queue": self.queue,
            "account": self.account,
            "walltime": self.walltime,
            "job_extra_directives": list(self.directives),
            "job_script_prologue": [
                *(f"export {name}={value}" for name, value in self.environment().items()),
                *self.prologue,
            ],
            # A signal to the job reaches the worker, not a shell that waits for it.
            "python": f"exec {self.python}",
            "worker_command": "ritz.compute.cluster.program",
            "worker_extra_args": self.worker(),
            "death_timeout": DEATH_TIMEOUT,
            "log_directory": str(self.folder),
        }

    def _file(self, name: str) -> str:
        return str(self.folder / f"{name}.pem")
