"""A real pipeline, generating and training at once, and what its driver did meanwhile."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from uuid import uuid4

import numpy as np

from ritz.compute.cluster.channel import Channel
from ritz.compute.cluster.cluster import Cluster
from ritz.compute.cluster.consumer import ConsumerQueue
from ritz.flows.run import CHANNEL
from ritz.storage.committer import Committer
from ritz.tasks.generation.generate import generate
from ritz.tasks.pipeline import Pipeline
from ritz.tasks.training.train import train


@dataclass(frozen=True)
class Driven:
    """What the driver's process, in which the scheduler runs, did for the shards after the first commit.

    Attributes
    ----------
    rate
        Shards a second.
    shards
        How many each commit held, the mean.
    cpu
        Processor seconds of the whole process in between, a shard.
    commit
        Seconds of a commit, all of it, the median.
    waited
        Seconds in commits in which this process did not compute, a shard.
    """

    rate: float
    shards: float
    cpu: float
    commit: float
    waited: float

    @property
    def per_shard(self) -> float:
        """Seconds a shard: what was computed, and what was waited for in commits."""
        return self.cpu + self.waited


@dataclass(frozen=True)
class Trained:
    """A run to its end: seconds from its first step to its last, and those it waited for samples."""

    steps: int
    seconds: float
    waited: float
    driven: Driven


def online(cluster: Cluster, pipeline: Pipeline, store: str) -> Trained:
    """Generate and train at once, as a run does."""
    channel = cluster.channel(uuid4().hex, CHANNEL)
    with ThreadPoolExecutor(2) as stages, clocked() as commits:
        training = stages.submit(
            train.fn, pipeline, store, cluster, identity="benchmark", dataset=pipeline.name, channel=channel
        )
        training.add_done_callback(
            lambda end: channel.consumer_failed() if end.exception() else channel.consumer_finished()
        )
        generating = stages.submit(generate.fn, pipeline, store, cluster, channel)
        generating.add_done_callback(lambda end: channel.producer_failed() if end.exception() else None)
        generating.result()
        summary = training.result().summary
    channel.close()
    seconds = summary.last_step - summary.first_step
    return Trained(summary.steps, seconds, summary.waited, _driven(commits))


@contextmanager
def load(cluster: Cluster, pipeline: Pipeline, store: str, interval: float) -> Iterator[Future[object]]:
    """Let the solvers work meanwhile as in a run whose trainer takes a shard every ``interval`` seconds.

    The shards are solved, committed and sent through a channel; what is taken is let go of, and not fetched.
    """
    channel, done = cluster.channel(uuid4().hex, CHANNEL), threading.Event()
    with ThreadPoolExecutor(2) as stages:
        generating = stages.submit(generate.fn, pipeline, store, cluster, channel)
        taking = stages.submit(_take, cluster, channel, interval, done)
        try:
            yield generating
        finally:
            done.set()
            taking.result()
            # Ends the generation at the next shard, if it is not over.
            channel.consumer_failed()
            generating.exception()
    channel.close()


def _take(cluster: Cluster, channel: Channel, interval: float, done: threading.Event) -> None:
    keys = ConsumerQueue(channel.name, 0, cluster.client, cluster.client.log_event)
    while not done.wait(interval):
        if keys.take() is not None:
            keys.acknowledge()
    keys.close()


@dataclass(frozen=True)
class Commit:
    """How many shards, and when it began and ended by the clock and in processor seconds of this process."""

    shards: int
    begun: float
    ended: float
    computed: float
    until: float

    @property
    def waited(self) -> float:
        """Seconds in which this process did not compute."""
        return max(0.0, self.ended - self.begun - (self.until - self.computed))


@contextmanager
def clocked() -> Iterator[list[Commit]]:
    """Note every commit."""
    commits: list[Commit] = []
    commit = Committer.commit

    def timed(self, shards):
        begun, computed = time.perf_counter(), time.process_time()
        done = commit(self, shards)
        commits.append(Commit(len(shards), begun, time.perf_counter(), computed, time.process_time()))
        return done

    Committer.commit = timed
    try:
        yield commits
    finally:
        Committer.commit = commit


def _driven(commits: list[Commit]) -> Driven:
    first, later = commits[0], commits[1:]
    shards = sum(one.shards for one in later)
    return Driven(
        rate=shards / (later[-1].ended - first.ended),
        shards=shards / len(later),
        cpu=(later[-1].until - first.until) / shards,
        commit=float(np.median([one.ended - one.begun for one in later])),
        waited=sum(one.waited for one in later) / shards,
    )
