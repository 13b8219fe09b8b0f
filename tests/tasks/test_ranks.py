"""Several ranks that train together on workers of a real cluster, and what one process makes of their schedule."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from ritz.compute.cluster.cluster import Cluster
from ritz.compute.cluster.local import Local
from ritz.compute.cluster.profile import Role
from ritz.compute.cluster.rendezvous import join
from ritz.compute.problems.darcy import Darcy
from ritz.compute.surrogates.spectral.fno import FNO
from ritz.compute.training.offline import Offline
from ritz.compute.training.online import Online
from ritz.compute.training.parts.optimiser import TorchOptimiser
from ritz.compute.training.parts.stopping import Stopping
from ritz.compute.training.ranks.group import PeerLost
from ritz.compute.training.training import Training
from ritz.storage.datasets import Dataset
from ritz.storage.errors import Refused
from ritz.storage.store import Store
from ritz.tasks.checks import check_ranks
from ritz.tasks.documents.dataset import DatasetVersion
from ritz.tasks.documents.training import TrainingSummary
from ritz.tasks.driver.progress import Reporter
from ritz.tasks.generation.dispatch import owners
from ritz.tasks.training import replay_worker as replay
from ritz.tasks.training import supervision as follow
from ritz.tasks.training import worker as train
from tests.documents import origin
from tests.tasks.made import FAILED, NAME, SAMPLES, SEED, SHARD, make, pipeline

RANKS = 2
EXPECTED, TRAINED = 24, 23
"""Training samples of the dataset, and those of them that were solved."""
ONLINE = Online(ranks=RANKS, batch_size=3, watermark=4, batches_per_sample=4, ema=0.9, validation=3, seed=1)

OFFLINE = Offline(ranks=RANKS, batch_size=3, epochs=8, seed=1)

TRAININGS = {
    "online": ONLINE,
    "offline": OFFLINE,
    "stopping": OFFLINE.model_copy(update={"epochs": 40, "stopping": Stopping(patience=1, least=0.5)}),
}


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    return make(tmp_path_factory.mktemp("made"))


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    with Local(solve=Role(count=1), train=Role(count=RANKS)).open() as cluster:
        yield cluster


def _fitted(store: Store, cluster: Cluster, identity: str, training: Training) -> TrainingSummary:
    job = train.Fitting(
        identity=identity, store=store.url, dataset=NAME, version="v1", problem=_problem(),
        surrogate=FNO(modes=4, width=4, layers=1), training=training, shards=SAMPLES // SHARD, samples=EXPECTED,
        seed=SEED, dataset_identity=None, channel=None,
    )  # fmt: skip
    report = Reporter("train", training.steps(EXPECTED), NAME)
    summary: TrainingSummary = follow.follow_ranks(
        cluster,
        report,
        identity,
        train.fit,
        lambda rendezvous: [replace(job, rank=rank, rendezvous=rendezvous) for rank in range(RANKS)],
        RANKS,
    )
    return summary


def _problem() -> Darcy:
    return Darcy(shape=(8, 8))


def _registered(store: Store, identity: str, training: Training) -> str:
    """Make a model of a finished training, and return which."""
    recipe = pipeline(_problem()).model_copy(update={"training": training})
    dataset = DatasetVersion(name=NAME, version="v1", snapshot=Dataset.open(store, NAME).versions()[0].snapshot)
    return train.register(store.url, identity, identity, origin(dataset, recipe.document())).spec


@pytest.mark.parametrize("name", TRAININGS)
def test_what_ranks_learn_together_one_process_learns_alone_with_the_same_bits(
    name: str, store: Store, cluster: Cluster
) -> None:
    training = TRAININGS[name]
    summary = _fitted(store, cluster, name, training)
    asked = training.steps(TRAINED if training.kind == "offline" else EXPECTED)
    assert summary.steps == (summary.stopped or asked)
    assert (summary.steps < asked) == (name == "stopping")
    model = _registered(store, name, training)
    again = cluster.call("train", replay.again, replay.Replaying(store.url, model, "again"))
    assert again.equal, again.document()
    schedule = replay.found(store, model).schedule
    assert schedule.shape == (summary.steps, RANKS * training.batch_size)
    if name == "online":
        sample_id, _ = Dataset.open(store, NAME).at("v1").index()
        owner = dict(zip(sample_id.tolist(), np.repeat(owners(SEED, SAMPLES // SHARD, RANKS), SHARD), strict=True))
        for rank, part in enumerate(np.split(schedule, RANKS, axis=1)):
            assert {owner[sample] for sample in part.ravel().tolist()} == {rank}
        assert FAILED not in schedule


def test_a_dead_rank_starts_all_again_from_the_checkpoint(
    store: Store, cluster: Cluster, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(follow, "GRACE", 1.0)
    long = Offline(ranks=RANKS, batch_size=3, epochs=60, seed=1)
    cluster.client.run(_save_often, workers=cluster.addresses("train"))
    pids = list(cluster.client.run(os.getpid, workers=cluster.addresses("train")).values())

    def kill() -> None:
        while not store.exists("fits/killed/checkpoint.safetensors"):
            time.sleep(0.05)
        os.kill(pids[1], signal.SIGKILL)

    killer = threading.Thread(target=kill)
    killer.start()
    with caplog.at_level("WARNING", "ritz"):
        summary = _fitted(store, cluster, "killed", long)
    killer.join()
    assert summary.steps == long.steps(TRAINED)
    assert "a rank was lost" in caplog.text
    model = _registered(store, "killed", long)
    assert cluster.call("train", replay.again, replay.Replaying(store.url, model, "again")).equal
    _fitted(store, cluster, "undisturbed", long)
    models = [store.read(f"fits/{identity}/model.safetensors") for identity in ("killed", "undisturbed")]
    assert models[0] == models[1]


def _save_often() -> None:
    train.CHECKPOINT_EVERY = 0.1


def test_the_error_of_a_rank_is_the_error_of_all(store: Store, cluster: Cluster) -> None:
    wild = TorchOptimiser(name="SGD", settings={"lr": 1e30})
    with pytest.raises(FloatingPointError, match="take a smaller learning rate"):
        _fitted(store, cluster, "wild", OFFLINE.model_copy(update={"optimiser": wild}))


def test_a_rank_that_hangs_does_not_hold_up_the_others(
    cluster: Cluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(follow, "GRACE", 0.5)
    report = Reporter("train", 1, NAME)
    jobs = [(rank, str(tmp_path / "hung")) for rank in range(RANKS)]
    assert follow.follow_ranks(cluster, report, "hanging", hang_once, lambda _: jobs, RANKS) == 0


def test_ranks_get_a_worker_each_also_where_one_has_to_come_back_first(cluster: Cluster) -> None:
    (pid, *_) = cluster.client.run(os.getpid, workers=cluster.addresses("train")).values()
    os.kill(pid, signal.SIGKILL)
    while cluster.workers("train") == RANKS:
        time.sleep(0.01)
    report = Reporter("train", 1, NAME)
    follow.follow_ranks(
        cluster, report, "apart", join_others, lambda rendezvous: [(rendezvous, rank) for rank in range(RANKS)], RANKS
    )


def join_others(job: tuple[str, int]) -> None:
    name, rank = job
    join(name, rank, RANKS, lambda host: host)


def hang_once(job: tuple[int, str]) -> int:
    """Hang as rank 1, lose another as rank 0; and be well the second time."""
    rank, file = job
    mine, other = Path(f"{file}-{rank}"), Path(f"{file}-{1 - rank}")
    if not mine.exists():
        mine.touch()
        if rank:
            time.sleep(600)
        while not other.exists():
            time.sleep(0.05)
        time.sleep(0.5)
        raise PeerLost("gone")
    return rank


def test_ranks_that_never_find_each_other_are_given_up(cluster: Cluster) -> None:
    with pytest.raises(PeerLost, match="no way"):
        follow.follow_ranks(cluster, Reporter("train", 1, NAME), "lost", never, lambda _: list(range(RANKS)), RANKS)


def never(_: int) -> None:
    raise PeerLost("no way to the others")


def test_more_ranks_than_workers_are_refused(cluster: Cluster) -> None:
    recipe = pipeline(_problem())
    training = recipe.training.model_copy(update={"ranks": 3})
    with pytest.raises(Refused, match=r"training\.ranks is 3, but the profile has 2 train workers"):
        check_ranks(recipe.model_copy(update={"training": training}), cluster)
