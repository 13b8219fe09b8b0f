from __future__ import annotations

import json
import logging
import time
from collections import Counter
from collections.abc import Iterator, Mapping

import numpy as np

from ritz.compute.cluster.channel import Channel
from ritz.compute.cluster.cluster import Cluster, WorkersLost
from ritz.compute.cluster.culprits import culprits
from ritz.compute.cluster.stream import Completed, groups, stream
from ritz.compute.sampling.order import order
from ritz.compute.solvers.choice.auto import Auto
from ritz.compute.solvers.solver import Solver
from ritz.storage.committer import Committer
from ritz.storage.datasets import Dataset
from ritz.storage.store import Store
from ritz.tasks.documents.dataset import Asked, Probe
from ritz.tasks.documents.reading import read
from ritz.tasks.documents.solving import Solving
from ritz.tasks.driver.progress import Reporter
from ritz.tasks.equipping import equipped
from ritz.tasks.generation import worker
from ritz.tasks.generation.described import described
from ritz.tasks.generation.dispatch import dispatch, owners
from ritz.tasks.generation.growth import version_of
from ritz.tasks.generation.in_flight import InFlight
from ritz.tasks.generation.learning import Learning, learnt_key
from ritz.tasks.generation.meter import Meter
from ritz.tasks.generation.result import Generated, describe, probe_key
from ritz.tasks.pipeline import Pipeline
from ritz.tasks.stage import stage

log = logging.getLogger("ritz")

FEATURE_BLOCK = 1024
"""Samples drawn at a time for their features."""

COMMIT_EVERY = (0.5, 2.0)
"""Seconds from one commit to the next, at the start and in a long run: shards that come faster share one."""

OF_RUN = 0.1
"""What a shard may wait for its commit, as a share of the time that the run has taken: it goes on to the trainer then.

A commit of shards that lie far apart costs the same for eight as for sixteen.
"""


@stage("generate")
def generate(pipeline: Pipeline, store_url: str, cluster: Cluster, channel: Channel | None = None) -> Generated:
    """Solve, commit and publish the samples of a recipe that the store does not have yet.

    A dataset with fewer samples is grown; with more, one of its versions has to hold just those of the recipe. This
    stage is the only one that commits. Where a trainer listens, each shard goes to it through ``channel``
    after its commit, and a full channel makes the solvers wait.

    Raises
    ------
    ritz.storage.errors.Refused
        If another recipe made the dataset of this name, or it has been grown beyond these samples and no version
        holds just them.
    ritz.storage.errors.Busy
        If another driver works on it.
    """
    start, store, data = time.monotonic(), Store(store_url), pipeline.data
    store.check_writable()
    dataset = _dataset(pipeline, store, cluster)
    with dataset.lock():
        if dataset.samples < data.samples:
            ids = _ordered(pipeline, cluster, dataset.samples)
            dataset.grow(ids, data.splits.of(ids), pipeline.document())
        published = version_of(dataset, data.samples)
        ids, split = (column[: data.samples] for column in dataset.index())
        shards = data.samples // data.shard
        before = {index for index in dataset.committed() if index < shards}
        report = Reporter("solve", data.samples, pipeline.name)
        report(len(before) * data.shard)
        last_shard = solving = None
        if len(before) < shards:
            todo = [index for index in dispatch(data.seed, shards).tolist() if index not in before]
            solver = _probe(pipeline, cluster, dataset, ids[todo[0] * data.shard :][: data.shard], bool(before))
            consumers = owners(data.seed, shards, channel.queues if channel is not None else 1)
            learning = Learning(store, learnt_key(pipeline), solver)
            aside: dict[int, tuple[int, ...]] = {}
            harmless: set[int] = set()
            while last_shard is None:
                done = {index for index in dataset.committed() if index < shards}
                left = [index for index in todo if index not in done]
                work = _shards(pipeline, dataset, ids, split, left, learning, aside)
                try:
                    last_shard, solving = _solve(
                        cluster, dataset, work, learning, len(done), channel, consumers, report
                    )
                except WorkersLost as lost:
                    aside |= _set_aside(cluster, lost, harmless)
        published = published or dataset.publish(f"{data.samples} samples of {pipeline.name}")
        made = describe(pipeline, dataset, published, len(before) * data.shard, last_shard, start)
        return made.changed(solving=solving)


def _dataset(pipeline: Pipeline, store: Store, cluster: Cluster) -> Committer:
    """Open the dataset of the recipe, or order its samples and create it."""
    existing = Committer.find(store, pipeline.name, pipeline.dataset_identity, pipeline.fixed)
    if existing is not None:
        return existing
    ids = _ordered(pipeline, cluster, 0)
    return Committer.ensure(store, pipeline.name, **described(pipeline, ids))


def _ordered(pipeline: Pipeline, cluster: Cluster, first: int) -> np.ndarray:
    """Return the ids from ``first`` on, in the order of solving."""
    data = pipeline.data
    blocks = [
        worker.FeatureBlock(pipeline.problem, data.seed, start, min(start + FEATURE_BLOCK, data.samples))
        for start in range(first, data.samples, FEATURE_BLOCK)
    ]
    parts: dict[int, np.ndarray] = {}
    for done in stream(cluster, worker.features, blocks, window=cluster.window("solve"), role="solve"):
        parts[done.item.start] = done.receipt
    return first + order(np.concatenate([parts[start] for start in sorted(parts)]))


def _probe(pipeline: Pipeline, cluster: Cluster, dataset: Dataset, ordered: np.ndarray, goes_on: bool) -> Solver:
    """Return the solver of these samples: the one that an interrupted run chose for them, else by a new probe."""
    data, store, key = pipeline.data, dataset.store, probe_key(pipeline)
    asked = Asked(samples=data.samples, solver=pipeline.document()["solver"])
    solver = equipped(pipeline.solver, store)
    kept = read(Probe, store.document(key), key) if goes_on and store.exists(key) else Probe()
    if kept.asked == asked and kept.solver is not None:
        chosen = solver.again(kept.solver) if isinstance(solver, Auto) else solver
        if cluster.call("solve", worker.suits, pipeline.problem, data.seed, ordered[:1], chosen):
            log.info("solver: %s (chosen before)", chosen.kind)
            return chosen
    probed: worker.Probed = cluster.call(
        "solve",
        worker.probe,
        pipeline.problem,
        data.seed,
        data.rtol,
        solver.among(dataset.solvers) if isinstance(solver, Auto) else solver,
        ordered=ordered,
        each=data.samples / max(1, cluster.expected("solve")),
    )
    if isinstance(probed.solver, Auto):
        log.info("solver: the problem's own, which poses no systems")
    else:
        log.info("solver: %s%s", probed.solver.kind, " (chosen by measurement)" if probed.choice.tried else " (named)")
    found = Probe(asked=asked, solver=probed.solver.model_dump(mode="json"), choice=probed.choice, panel=probed.panel)
    store.write(key, json.dumps(found.document()).encode())
    return probed.solver


def _set_aside(cluster: Cluster, lost: WorkersLost, harmless: set[int]) -> dict[int, tuple[int, ...]]:
    """Return the samples of a shard that kill the worker that solves them, by the shard.

    A shard of which none does so by itself may have waited on the workers that another one killed: it is noted as
    harmless, and solved again.

    Raises
    ------
    WorkersLost
        If it was no shard that killed the workers, or one that is known as harmless.
    """
    if not isinstance(lost.item, worker.Shard) or lost.item.index in harmless:
        raise lost
    shard = lost.item
    log.warning("%r: every worker that solved it died; its samples are tried one by one", shard)
    alone = [shard.alone(sample) for sample in shard.ids.tolist() if sample not in shard.aside]
    found = tuple(int(one.ids[0]) for one in culprits(cluster, "solve", worker.attempt, alone))
    if not found:
        harmless.add(shard.index)
        return {}
    log.warning(
        "%r: set aside as failed, because the workers that solve them die: %s",
        shard,
        ", ".join(f"sample {sample}" for sample in found),
    )
    return {shard.index: (*shard.aside, *found)}


def _shards(
    pipeline: Pipeline,
    dataset: Committer,
    ids: np.ndarray,
    split: np.ndarray,
    todo: list[int],
    learning: Learning,
    aside: Mapping[int, tuple[int, ...]],
) -> Iterator[worker.Shard]:
    data, fork = pipeline.data, dataset.fork()
    for index in todo:
        part = slice(index * data.shard, (index + 1) * data.shard)
        yield worker.Shard(
            store=dataset.store.url,
            dataset=dataset.name,
            index=index,
            ids=ids[part],
            split=split[part],
            problem=pipeline.problem,
            seed=data.seed,
            rtol=data.rtol,
            dtype=data.dtype,
            solver=learning.informed(index),
            fork=fork,
            aside=aside.get(index, ()),
        )


def _solve(
    cluster: Cluster,
    dataset: Committer,
    shards: Iterator[worker.Shard],
    learning: Learning,
    done: int,
    channel: Channel | None,
    consumers: np.ndarray,
    report: Reporter,
) -> tuple[float, Solving]:
    """Solve and commit shards as they complete; return when the last was committed, and how the workers were used."""
    failed, last, start = 0, time.time(), time.monotonic()
    flight, window = InFlight(dataset), cluster.window("solve")
    meter = Meter(cluster.workers("solve"), dataset.shard)

    def pause() -> float:
        return float(np.clip(OF_RUN * (time.monotonic() - start), *COMMIT_EVERY))

    solved = groups(
        cluster,
        worker.solve,
        flight.begin(shards),
        window=window,
        role="solve",
        every=pause,
        arrived=learning.add if learning.learns else None,
    )
    for group in solved:
        flight.end(len(group))
        receipts: list[worker.Receipt] = [completed.receipt for completed in group]
        new = {receipt.index: (receipt.fork, receipt.ledger) for receipt in receipts if receipt.fork is not None}
        if new:
            # Before the commit: what is committed is never solved again, and would be missing from the sums.
            learning.keep()
            dataset.commit(new)
        last = time.time()
        for receipt in receipts:
            meter.ended(receipt.seconds)
            missed = Counter(reason for reason in receipt.ledger["reason"] if reason)
            failed += sum(missed.values())
            if missed:
                log.warning("shard %d: %s", receipt.index, ", ".join(f"{n} {why}" for why, n in missed.items()))
        done += len(group)
        report(done * dataset.shard, f"{failed} failed" if failed else "")
        if channel is not None:
            with meter.waiting():
                _send(channel, group, consumers)
        group.clear()
    found = meter.read()
    if found.verdict:
        log.info("solve: %s", found.verdict)
    return last, found


def _send(channel: Channel, group: list[Completed[worker.Shard]], consumers: np.ndarray) -> None:
    """Hand what was solved to the trainer, and hold on to it no longer: workers forget what has been fetched."""
    queues = range(channel.queues)
    values = [[shard.held for shard in group if consumers[shard.receipt.index] == queue] for queue in queues]
    group.clear()
    for queue in queues:
        channel.put(values[queue], queue)
