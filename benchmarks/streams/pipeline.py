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
from distributed import Queue

from compute.cluster.channel import Channel, line, taken
from compute.cluster.cluster import Cluster
from flows.run import CHANNEL
from storage.committer import Committer
from tasks.generate import generate
from tasks.pipeline import Pipeline
from tasks.train import train


@dataclass(frozen=True)
class Driven:
    """What the driver's process, in which the scheduler runs, did for the shards after the first.

    Attributes
    ----------
    seconds
        Between the first and the last commit.
    cpu
        Processor seconds of the whole process in between, a shard.
    commit
        Seconds of a commit, all of it, the median.
    waited
        Seconds of a commit in which this process did not compute, the mean.
    """

    seconds: float
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
    seconds = summary["last_step"] - summary["first_step"]
    return Trained(summary["steps"], seconds, summary["waited"], _driven(commits))


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
    queue = Queue(line(channel.name, 0), client=cluster.client)
    while not done.wait(interval):
        if queue.qsize():
            queue.get().release()
            cluster.client.log_event(taken(channel.name), {"lane": 0})


@contextmanager
def clocked() -> Iterator[list[tuple[float, float, float, float]]]:
    """Note for every commit when it began and ended, on the clock and in processor seconds of this process."""
    commits: list[tuple[float, float, float, float]] = []
    commit = Committer.commit

    def timed(self, *arguments):
        begun, computed = time.perf_counter(), time.process_time()
        done = commit(self, *arguments)
        commits.append((begun, time.perf_counter(), computed, time.process_time()))
        return done

    Committer.commit = timed
    try:
        yield commits
    finally:
        Committer.commit = commit


def _driven(commits: list[tuple[float, float, float, float]]) -> Driven:
    begun, ended, computed, until = np.array(commits).T
    taken_s = ended - begun
    waited = np.maximum(0, taken_s - (until - computed))
    shards = len(commits) - 1
    return Driven(ended[-1] - ended[0], (until[-1] - until[0]) / shards, np.median(taken_s), waited[1:].mean())
