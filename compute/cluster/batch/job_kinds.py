"""Jobs of dask-jobqueue, which is an extra: this module is imported when a job is made."""

from __future__ import annotations

from typing import Any

from dask_jobqueue.pbs import PBSJob
from dask_jobqueue.slurm import SLURMJob


class _Limited:
    """The memory limit of a worker as Dask reads it, also ``auto`` and ``0``, which dask-jobqueue does not know."""

    limit: str

    @property
    def worker_process_memory(self) -> str:
        """Return the limit for the command line of the worker."""
        return self.limit


class SlurmJob(_Limited, SLURMJob):
    """A job of Slurm."""

    def __init__(self, *args: Any, limit: str, **kwargs: Any) -> None:
        self.limit = limit
        super().__init__(*args, **kwargs)  # type: ignore[no-untyped-call]  # dask-jobqueue has no types


class PbsJob(_Limited, PBSJob):
    """A job of PBS."""

    def __init__(self, *args: Any, limit: str, **kwargs: Any) -> None:
        self.limit = limit
        super().__init__(*args, **kwargs)  # type: ignore[no-untyped-call]  # dask-jobqueue has no types
