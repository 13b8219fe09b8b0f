from __future__ import annotations

import json
import logging
import statistics
import time
from collections.abc import Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from importlib.metadata import version as package_version

from ritz.compute.cluster.cluster import Cluster
from ritz.compute.cluster.stream import stream
from ritz.storage.selection import Selection
from ritz.storage.store import Store
from ritz.tasks.comparison import worker
from ritz.tasks.comparison.comparison_record import (
    ArmRecord,
    ArmSize,
    Clock,
    ComparisonPaths,
    ComparisonRecord,
    MeasuredClock,
    TrainedSeed,
)
from ritz.tasks.comparison.gains import ARMS, PUBLISHED, gains, sentences
from ritz.tasks.comparison.plan import Arm, Contest, folder
from ritz.tasks.documents.reading import read as read_document
from ritz.tasks.driver.progress import Reporter
from ritz.tasks.generation.result import Generated
from ritz.tasks.report.comparison import shown
from ritz.tasks.stage import stage
from ritz.tasks.training.lease_guard import Fence

log = logging.getLogger("ritz")


@stage("compare")
def compare(
    contest: Contest, store_url: str, cluster: Cluster, generated: Generated, command: Sequence[str] = ()
) -> ComparisonRecord:
    """Train all arms of all seeds on the train workers, compare, and keep record and page.

    Every finished training is in the store, and every one under way has its checkpoint there: the same call goes on.

    Raises
    ------
    ritz.storage.errors.Busy
        If another driver makes this comparison.
    WorkersLost
        If train workers died again and again.
    """
    store, place = Store(store_url), folder(contest)
    dataset = f"{generated.dataset.name}@{generated.dataset.snapshot}"
    pool = len(Selection(store, dataset))
    name = _name(contest)
    with store.lock(_lock(contest), f"comparison of {name!r} in {store.url}"):
        begun = time.time()
        report = Reporter("compare", len(contest.seeds) * (1 + len(ARMS)), contest.pipeline.name)
        arms = contest.arms(pool)
        found = _trained(contest, cluster, store, dataset, arms, report, 0)
        arm, clock = _timed(contest, store, cluster, generated, found["offline"], pool)
        found |= _trained(contest, cluster, store, dataset, (arm,), report, len(arms) * len(contest.seeds))
        record = ComparisonRecord(
            comparison=contest.identity[:16],
            kind="online-offline",
            name=name,
            created=datetime.now(UTC).isoformat(timespec="seconds"),
            command=tuple(command),
            recipe=contest.pipeline.document(),
            dataset=generated.dataset,
            ledger=generated.ledger,
            samples=contest.samples,
            epochs=contest.epochs,
            fresh=contest.fresh,
            steps=contest.steps,
            seeds=contest.seeds,
            clock=clock,
            arms={one.name: ArmRecord(**asdict(one), seeds=tuple(found[one.name])) for one in (*arms, arm)},
            gains=gains(found),
            published=PUBLISHED,
            seconds=time.time() - begun,
            versions={name: package_version(name) for name in ("ritz", "torch", "neuraloperator", "scipy")},
            paths=ComparisonPaths(store=store.url, page=store.location(f"{place}/page.html")),
        )
        drawn, page = cluster.call("train", shown, record)
        for title, picture in drawn.items():
            store.write(f"{place}/{title}.png", picture)
        store.write(f"{place}/page.html", page)
        store.write(f"{place}/record.json", json.dumps(record.document(), indent=1).encode())
    for line in sentences(record):
        log.info("compare: %s", line)
    return record


def _trained(
    contest: Contest,
    cluster: Cluster,
    store: Store,
    dataset: str,
    arms: Sequence[Arm],
    report: Reporter,
    before: int,
) -> dict[str, list[TrainedSeed]]:
    """Return the results of arms by name, in the order of the seeds; only what is not in the store is trained."""
    jobs = [_job(contest, store, dataset, arm, seed, cluster.device) for seed in contest.seeds for arm in arms]
    results = {job.folder: _kept(store, job) for job in jobs}
    todo = [job for job in jobs if results[job.folder] is None]
    done = before + len(jobs) - len(todo)
    report(done)
    for completed in stream(cluster, worker.learn, todo, window=max(1, cluster.workers("train")), role="train"):
        job, result = completed.item, completed.receipt
        results[job.folder] = result
        done += 1
        report(done, f"{job.arm}, seed {job.training.seed}: test error {result.test.mean:.4g}")
    found: dict[str, list[TrainedSeed]] = {arm.name: [] for arm in arms}
    for job in jobs:
        result = results[job.folder]
        assert result is not None
        found[job.arm].append(result)
    return found


def _job(contest: Contest, store: Store, dataset: str, arm: Arm, seed: int, device: str) -> worker.Learning:
    pipeline = contest.pipeline
    data = pipeline.data
    return worker.Learning(
        store=store.url,
        folder=f"{folder(contest)}/{arm.name}-{seed}",
        identity=f"compare-{contest.identity[:16]}-{arm.name}-{seed}",
        arm=arm.name,
        dataset=dataset,
        problem=pipeline.problem,
        surrogate=pipeline.surrogate,
        training=contest.training(arm, seed),
        samples=arm.samples,
        shard=max(1, round(data.shard * data.splits.train / 20)),
        device=device,
        fence=Fence.of(store, (_lock(contest),)),
    )


def _lock(contest: Contest) -> str:
    return f"comparisons/.{_name(contest)}.lock"


def _name(contest: Contest) -> str:
    return folder(contest).rpartition("/")[0].rpartition("/")[2]


def _kept(store: Store, job: worker.Learning) -> TrainedSeed | None:
    return worker.result(store, job.folder) if store.exists(worker.result_key(job.folder)) else None


def _timed(
    contest: Contest,
    store: Store,
    cluster: Cluster,
    generated: Generated,
    offline: Sequence[TrainedSeed],
    pool: int,
) -> tuple[Arm, Clock]:
    """Return the arm of equal wall time and what it comes from; measured once, so that a resumed one is the same."""
    key = f"{folder(contest)}/clock.json"
    if not store.exists(key):
        solvers = max(1, cluster.workers("solve"))
        solver_seconds = generated.ledger.seconds / generated.dataset.samples
        step = statistics.median(one.seconds / one.steps for one in offline)
        arm, clock = contest.timed(solver_seconds / solvers, step, pool)
        clock = clock.changed(solver_seconds=solver_seconds, solvers=solvers)
        measured = MeasuredClock(arm=ArmSize(**asdict(arm)), **clock.entries())
        store.write(key, json.dumps(measured.document()).encode())
    kept = read_document(MeasuredClock, store.document(key), store.location(key))
    return Arm(**kept.arm.entries()), Clock.model_validate(
        {name: value for name, value in kept.entries().items() if name != "arm"}
    )
