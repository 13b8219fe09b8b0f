from __future__ import annotations

import logging
import time

from ritz.compute.cluster.cluster import Cluster
from ritz.compute.surrogates.ensemble.ensemble import Ensemble
from ritz.tasks.documents.training import TrainingSummary
from ritz.tasks.driver.progress import Reporter
from ritz.tasks.pipeline import Pipeline
from ritz.tasks.stage import stage
from ritz.tasks.training import members_worker, worker
from ritz.tasks.training.supervision import follow_each
from ritz.tasks.training.train import KeptTraining

log = logging.getLogger("ritz")


@stage("train members")
def train_members(
    pipeline: Pipeline, cluster: Cluster, ensemble: Ensemble, first: KeptTraining, *, identity: str, version: str
) -> KeptTraining:
    """Train the further members of an ensemble, each on any free train worker, and join all.

    Every member has checkpoints of its own: where this was killed it goes on with those that are not finished, each
    from its last one.

    Parameters
    ----------
    first
        The first member, trained by `ritz.tasks.training.train.train`.
    identity
        Of the ensemble.
    version
        Of the dataset that the first member was trained on.

    Raises
    ------
    WorkersLost
        If the workers that trained a member died again and again.
    """
    start = time.monotonic()
    jobs = [members_worker.further(first.job, identity, number, version) for number in range(1, ensemble.size)]
    report = Reporter("train members", len(jobs) * first.job.training.steps(first.job.samples), pipeline.name)
    follow_each(cluster, report, worker.fit, {job.identity: job for job in jobs})
    joining = members_worker.Joining(identity, ensemble, (first.job, *jobs))
    summary: TrainingSummary = cluster.call("train", members_worker.join, joining)
    log.info("train: %s", summary.differences())
    return KeptTraining(identity, first.job, summary, first.seconds + time.monotonic() - start)
