from __future__ import annotations

import logging
import time
from dataclasses import dataclass, replace

from ritz.compute.cluster.channel import Channel, ProducerFailed
from ritz.compute.cluster.cluster import Cluster
from ritz.storage.store import Store
from ritz.tasks.documents.records import fit_lock, run_lock
from ritz.tasks.documents.training import TrainingSummary
from ritz.tasks.driver.progress import Reporter
from ritz.tasks.pipeline import Pipeline
from ritz.tasks.stage import stage
from ritz.tasks.training import worker
from ritz.tasks.training.lease_guard import Fence
from ritz.tasks.training.members_worker import member_place
from ritz.tasks.training.supervision import follow, follow_ranks

log = logging.getLogger("ritz")


@dataclass(frozen=True)
class KeptTraining:
    """A finished training, not yet a version of a model.

    Attributes
    ----------
    identity
        Under which `ritz.tasks.training.worker.register` finds it.
    job
        What was done.
    """

    identity: str
    job: worker.Fitting
    summary: TrainingSummary
    seconds: float


@stage("train")
def train(
    pipeline: Pipeline,
    store_url: str,
    cluster: Cluster,
    *,
    identity: str,
    dataset: str,
    version: str | None = None,
    shards: int | None = None,
    samples: int | None = None,
    channel: Channel | None = None,
) -> KeptTraining:
    """Train a surrogate on the train worker: online through ``channel``, or offline on a dataset's ``version``.

    Where this process holds the lock of the run or of the training, the worker stops when it is lost.

    With ``training.ranks`` it takes so many train workers, and a channel has a queue for each. Of an ensemble this is
    the first member; `ritz.tasks.training.members.train_members` trains the others.

    Raises
    ------
    WorkersLost
        If the train worker, or one of several, died again and again.
    """
    start = time.monotonic()
    fence = Fence.of(Store(store_url), (run_lock(pipeline.name), fit_lock(identity)))
    place = identity if pipeline.surrogate.trainings == 1 else member_place(identity, 0)
    job = worker.Fitting(
        identity=place,
        store=store_url,
        dataset=dataset,
        version=version,
        problem=pipeline.problem,
        surrogate=pipeline.surrogate.learner,
        training=pipeline.training,
        shards=pipeline.data.samples // pipeline.data.shard if shards is None else shards,
        samples=pipeline.train_samples if samples is None else samples,
        seed=pipeline.data.seed,
        dataset_identity=pipeline.dataset_identity if version is None else None,
        channel=channel.name if channel is not None else None,
        device=cluster.device,
        fence=fence,
    )

    def check() -> None:
        if channel is not None and not channel.is_fed:
            raise ProducerFailed("training stopped because generating the data failed; see its own error")

    report = Reporter("train", pipeline.training.steps(job.samples), pipeline.name)
    ranks = pipeline.training.trainers
    if ranks == 1:
        summary = follow(cluster, report, place, worker.fit, job, check)
    else:

        def jobs(rendezvous: str) -> list[worker.Fitting]:
            return [replace(job, rank=rank, rendezvous=rendezvous) for rank in range(ranks)]

        summary = follow_ranks(cluster, report, place, worker.fit, jobs, ranks, check)
    if summary.stopped is not None:
        log.info("train: stopped early after step %d", summary.stopped)
    elif summary.unseen:
        log.info("train: no step used %d of %d samples", summary.unseen, summary.samples_received)
    return KeptTraining(place, job, summary, time.monotonic() - start)
