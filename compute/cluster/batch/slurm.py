from __future__ import annotations

from typing import Literal

from ritz.compute.cluster.batch.batch import Batch
from ritz.compute.cluster.batch.queue import BatchQueue
from ritz.compute.cluster.batch.slurm_queue import SlurmQueue


class Slurm(Batch):
    """Jobs of Slurm, submitted from a login node or from a job; needs the extra ``jobqueue``."""

    kind: Literal["slurm"] = "slurm"

    def system(self) -> BatchQueue:
        """Return Slurm."""
        return SlurmQueue()
