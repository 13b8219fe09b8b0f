from __future__ import annotations

from typing import Literal

from pydantic import Field

from ritz.compute.cluster.batch.batch import Batch, JobRole
from ritz.compute.cluster.batch.pbs_queue import PbsQueue
from ritz.compute.cluster.batch.queue import BatchQueue
from ritz.compute.cluster.presence import ROLES


class PbsRole(JobRole):
    """Workers of one role, each in a job of its own with one chunk of a node."""

    resources: str = Field("", max_length=200, description="Further resources of the chunk, e.g. 'ngpus=1'.")


class Pbs(Batch):
    """Jobs of PBS, submitted from a login node or from a job; needs the extra ``jobqueue``."""

    kind: Literal["pbs"] = "pbs"
    solve: PbsRole = Field(PbsRole(count=4), description="Workers that solve systems.")
    train: PbsRole = Field(PbsRole(), description="Workers that train and evaluate; one per rank of `training.ranks`.")

    def system(self) -> BatchQueue:
        """Return PBS."""
        return PbsQueue({role: getattr(self, role).resources for role in ROLES})
