from __future__ import annotations

import logging
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ritz.compute.cluster.batch.queue import BatchQueue, Unanswered
from ritz.compute.cluster.errors import ClusterError

log = logging.getLogger("ritz")

CHECK_EVERY = 5.0
"""Seconds between two questions which jobs the batch system has."""

TRIES = 3
"""Jobs of a role that may end one after the other before their workers have joined."""

PAUSE = 10.0
"""Seconds from the end of a job whose worker has not joined to the next one; doubled every time."""


@dataclass
class _Job:
    role: str
    name: str
    number: str
    process: Any
    joined: bool = False


class Jobs:
    """Keeps so many jobs of every role in a batch system: a job that has ended is replaced by a new one.

    dask-jobqueue submits jobs and cancels them, and does not look after them in between
    (https://github.com/dask/dask-jobqueue/issues/611). Jobs end when their workers leave before the walltime, when
    somebody cancels them, or with their node.

    Parameters
    ----------
    queue
        The batch system.
    make
        Returns a job of a role, given the name of its worker.
    sync
        Runs a coroutine of a job to its end: ``SpecCluster.sync``.
    workers
        Returns the names of the workers that have connected so far, those included that have left.
    """

    def __init__(
        self,
        queue: BatchQueue,
        make: Callable[[str, str], Any],
        sync: Callable[[Callable[[], Any]], Any],
        workers: Callable[[], Collection[str]],
    ) -> None:
        self._queue, self._make, self._sync, self._workers = queue, make, sync, workers
        self._jobs: list[_Job] = []
        self._states: Mapping[str, str] = {}
        self._names: Counter[str] = Counter()
        self._failed: Counter[str] = Counter()
        self._last: dict[str, _Job] = {}
        self._due: dict[str, float] = defaultdict(float)
        self._missing: Counter[str] = Counter()
        self._lock, self._closed = threading.Lock(), threading.Event()
        self._keeper = threading.Thread(target=self._keep, name="jobs", daemon=True)

    def start(self, counts: Mapping[str, int]) -> None:
        """Submit jobs, a number per role, and keep that number from here on.

        Raises
        ------
        ClusterError
            If the batch system refuses a job.
        """
        for role, count in counts.items():
            for _ in range(count):
                try:
                    self._submit(role)
                # dask-jobqueue raises both: the command fails, or prints no number.
                except (RuntimeError, ValueError) as error:
                    raise ClusterError(
                        f"profile: {self._queue.name} refused a job of {role!r}: {_said(error)}"
                    ) from None
        self._keeper.start()

    def close(self) -> None:
        """Cancel all jobs."""
        self._closed.set()
        if self._keeper.is_alive():
            self._keeper.join()
        with self._lock:
            jobs, self._jobs = self._jobs, []
        if jobs:
            self._sync(lambda: _all(job.process.close() for job in jobs))

    def about(self, role: str) -> str:
        """Return how it stands with the jobs of a role, for messages."""
        with self._lock:
            jobs = [job for job in self._jobs if job.role == role]
            states = self._states
        if not jobs:
            return f"no job of {self._queue.name}, new ones are being submitted"
        shown = ", ".join(f"{job.number} {states.get(job.number, 'just submitted')}" for job in jobs[:3])
        more = ", …" if len(jobs) > 3 else ""
        return f"{len(jobs)} {'job' if len(jobs) == 1 else 'jobs'} of {self._queue.name} for it: {shown}{more}"

    def trouble(self, role: str) -> str:
        """Return why no worker of a role will come, empty while one may."""
        with self._lock:
            if self._failed[role] < TRIES:
                return ""
            last = self._last[role]
        return (
            f"{self._failed[role]} jobs of the role {role!r} have ended before their workers joined; "
            f"{_output(Path(last.process.log_directory or '.'), last)}"
        )

    def _keep(self) -> None:
        silent = False
        while not self._closed.wait(CHECK_EVERY):
            try:
                states = self._queue.states()
                silent = False
            except Unanswered as error:
                if not silent:
                    log.warning("%s does not say which jobs it has, and is asked again: %s", self._queue.name, error)
                silent = True
                continue
            self._replace(states)

    def _replace(self, states: Mapping[str, str]) -> None:
        """Take away the jobs that have ended, and submit others for them."""
        joined, now = self._workers(), time.monotonic()
        with self._lock:
            self._states = states
            for job in self._jobs:
                if job.name in joined:
                    job.joined = True
                    self._failed[job.role] = 0
            ended = [job for job in self._jobs if job.number not in states]
            self._jobs = [job for job in self._jobs if job.number in states]
        for job in ended:
            self._missing[job.role] += 1
            log.info("job %s of %s, a %s worker, has ended and is replaced", job.number, self._queue.name, job.role)
            if not job.joined:
                with self._lock:
                    self._failed[job.role] += 1
                    self._last[job.role] = job
                self._due[job.role] = now + PAUSE * 2 ** (self._failed[job.role] - 1)
        for role in [role for role, count in self._missing.items() if count and self._due[role] <= now]:
            while self._missing[role] and not self._closed.is_set() and not self.trouble(role):
                try:
                    self._submit(role)
                except (RuntimeError, ValueError) as error:
                    log.warning(
                        "%s refused a job of %r, which is tried again: %s", self._queue.name, role, _said(error)
                    )
                    self._due[role] = now + PAUSE
                    break
                self._missing[role] -= 1

    def _submit(self, role: str) -> None:
        # Another name for every job: the scheduler may still know the worker of the one before.
        name = f"{role}-{self._names[role]}"
        self._names[role] += 1
        process = self._make(role, name)
        self._sync(process.start)
        with self._lock:
            self._jobs.append(_Job(role, name, str(process.job_id), process))


async def _all(closing: Any) -> None:
    """Wait for coroutines."""
    import asyncio

    await asyncio.gather(*closing)


def _said(error: Exception) -> str:
    """Return what a command of a batch system says of its failure, in one line."""
    _, _, said = str(error).partition("stderr:\n")
    lines = [line.strip() for line in (said or str(error)).splitlines() if line.strip()]
    return "; ".join(lines)


def _output(folder: Path, job: _Job) -> str:
    """Return the last line that a job has written, and where."""
    for file in sorted(folder.glob(f"*{job.number}.*"), reverse=True):
        lines = [line.strip() for line in file.read_text(errors="replace").splitlines() if line.strip()]
        if lines:
            return f"job {job.number} wrote in {file}: {lines[-1]}"
    return f"job {job.number} wrote nothing in {folder}"
