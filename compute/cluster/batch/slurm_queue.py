from __future__ import annotations

import getpass
from typing import Any

from ritz.compute.cluster.batch.queue import BatchQueue, answer
from ritz.compute.cluster.batch.request import JobRequest


class SlurmQueue(BatchQueue):
    """Slurm, asked by ``sbatch``, ``squeue`` and ``scancel``."""

    name = "Slurm"
    programs = ("sbatch", "squeue", "scancel")

    def job(self, scheduler: str, request: JobRequest) -> Any:
        """Return a job of Slurm; see `BatchQueue.job`."""
        from ritz.compute.cluster.batch.job_kinds import SlurmJob

        return SlurmJob(
            scheduler,
            limit=request.memory,
            job_cpu=request.threads,
            job_directives_skip=[] if request.limited else ["--mem="],
            **request.options(),
        )

    def states(self) -> dict[str, str]:
        """Return the jobs of this user; see `BatchQueue.states`."""
        lines = answer(["squeue", "--noheader", f"--user={getpass.getuser()}", "--format=%A|%T|%r"]).splitlines()
        jobs = (line.strip().split("|", 2) for line in lines if line.strip())
        # A job that completes has no process any more, or only some that are being killed.
        return {number: f"{state} ({reason})" for number, state, reason in jobs if state != "COMPLETING"}
