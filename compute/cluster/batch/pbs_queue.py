from __future__ import annotations

import getpass
import math
from typing import Any

from ritz.compute.cluster.batch.queue import BatchQueue, answer
from ritz.compute.cluster.batch.request import JobRequest


class PbsQueue(BatchQueue):
    """PBS, asked by ``qsub``, ``qselect`` and ``qdel``.

    Parameters
    ----------
    resources
        Further resources of the chunk of a role, e.g. ``ngpus=1``, by the names of roles.
    """

    name = "PBS"
    programs = ("qsub", "qselect", "qdel")

    def __init__(self, resources: dict[str, str] | None = None) -> None:
        self.resources = resources or {}

    def job(self, scheduler: str, request: JobRequest) -> Any:
        """Return a job of PBS; see `BatchQueue.job`."""
        from ritz.compute.cluster.batch.job_kinds import PbsJob

        return PbsJob(scheduler, limit=request.memory, resource_spec=self.chunk(request), **request.options())

    def chunk(self, request: JobRequest) -> str:
        """Return what a job asks of its node: one chunk with cores, memory and further resources."""
        from dask.utils import parse_bytes

        parts = [f"select=1:ncpus={request.threads}"]
        if request.limited:
            # PBS counts in powers of 1024.
            parts.append(f"mem={math.ceil(parse_bytes(request.memory) / 2**20)}mb")
        if more := self.resources.get(request.role, ""):
            parts.append(more)
        return ":".join(parts)

    def states(self) -> dict[str, str]:
        """Return the jobs of this user; see `BatchQueue.states`."""
        lines = answer(["qselect", "-u", getpass.getuser()]).splitlines()
        # ``123.server``; dask-jobqueue keeps the number.
        return {line.partition(".")[0].strip(): "in the queue" for line in lines if line.strip()}
