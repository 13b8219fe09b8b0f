from __future__ import annotations

import io
import json
import os
import signal
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest

from compute.cluster.cluster import Cluster
from storage.reading import read
from tasks.generate import generate
from tasks.worker.replay import done_again, opened
from tests.command import RITZ, started
from tests.faults.conftest import PROBED, PROBES, SHARD, SHARDS, STEPS, Trap, wait_until, workers
from tests.faults.trapped import checksums, collect, solved


@dataclass(frozen=True)
class Battered:
    """A run in which one solve worker was killed while it solved, and the train worker while it trained."""

    record: dict[str, Any]
    steps_at_death: int


@pytest.fixture(scope="module")
def battered(trap: Trap, cluster: Cluster) -> Battered:
    profile = f"attach:{cluster.client.scheduler_info()['address']}"
    identity = trap.pipeline.model_identity("online", trap.pipeline.samples_identity)

    def steps() -> int:
        return max((event["message"]["step"] for _, event in cluster.client.get_events(identity)), default=0)

    before, (trainer,) = workers(cluster, "solve"), workers(cluster, "train").values()
    with started(RITZ, *trap.command("--profile", profile), env=trap.environment) as driver:
        with trap.gated(PROBES + 3):
            wait_until(lambda: trap.committed() >= 3, driver)
            (trap.folder / "kill").touch()
            trap.let_through(1)
            wait_until(lambda: bool(set(workers(cluster, "solve")) - set(before)), driver)
            # The trainer says how far it is when a block comes, twice a second at most.
            while steps() == 0 and trap.committed() < SHARDS - 5:
                trap.let_through(1)
                wait_until(lambda: steps() > 0, driver, give_up=2.0)
            done = steps()
            os.kill(trainer, signal.SIGKILL)
        stdout, stderr = driver.communicate()
    assert driver.returncode == 0, stderr
    return Battered(json.loads(stdout), done)


def test_the_run_ends_with_every_sample_once(battered: Battered, trap: Trap) -> None:
    assert battered.record["ledger"]["solved"] == SHARDS * SHARD
    assert battered.record["ledger"]["failed"] == 0
    data = read(trap.store, "tiny")
    assert sorted(data["sample_id"].values) == list(range(SHARDS * SHARD))
    np.testing.assert_array_equal(data["a"], trap.pipeline.problem.draw(0, data["sample_id"].values)["a"])
    assert trap.commits() == dict.fromkeys(range(SHARDS), 1)


def test_only_what_died_is_solved_again(battered: Battered, trap: Trap) -> None:
    posed = [sample for _, sample in solved(trap.folder)]
    assert set(posed) == set(checksums(read(trap.store, "tiny")["a"].values))
    # Beside each shard: the probe's blocks, and the block that was killed.
    again = len(posed) - SHARDS * SHARD - PROBED
    assert SHARD <= again <= 2 * SHARD


def test_a_killed_trainer_learns_every_sample_once(battered: Battered, trap: Trap) -> None:
    assert 0 < battered.steps_at_death < STEPS
    folder = f"models/tiny/{battered.record['model']['version']}"
    card = json.loads(trap.store.read(f"{folder}/card.json"))
    assert card["training"]["samples_received"] == trap.pipeline.train_samples
    schedule = np.load(io.BytesIO(trap.store.read(f"{folder}/schedule.npy")))
    assert len(schedule) == card["training"]["steps"] == battered.record["times"]["steps"] == STEPS
    history = json.loads(trap.store.read(f"{folder}/history.json"))
    assert sorted(row["shard"] for row in history["received"]) == list(range(SHARDS))
    assert set((schedule % 20).ravel()) <= set(range(12))


def test_the_training_that_was_killed_is_replayed_bit_for_bit(battered: Battered, trap: Trap) -> None:
    found = done_again(opened(trap.store, f"tiny@{battered.record['model']['version']}"))
    assert (found["agrees"], found["exact"], found["equal"], found["steps"]) == (True, True, True, STEPS)


def test_fields_that_died_with_their_worker_are_fetched_from_the_store(new_trap: Trap, cluster: Cluster) -> None:
    """The receipts are committed, nobody has fetched the fields yet, and all solve workers are killed; twice."""
    trap = new_trap
    channel = cluster.channel("late", SHARDS)
    with ThreadPoolExecutor(1) as pool:
        with trap.gated(PROBES + 5):
            generating = pool.submit(generate.fn, trap.pipeline, trap.store.url, cluster, channel)
            wait_until(lambda: generating.done() or trap.committed() == 5)
            early, committed = trap.dataset().ledger(), trap.dataset().committed()
            kill_solvers(cluster)
            posed = len(solved(trap.folder))
        generated = generating.result()
    ledger, head = trap.dataset().ledger(), trap.dataset().resolve("head").snapshot
    kept = np.repeat(np.isin(np.arange(SHARDS), list(committed)), SHARD)
    assert kept.sum() == 5 * SHARD
    for name, column in ledger.items():
        np.testing.assert_array_equal(column[kept], early[name][kept], err_msg=name)
    fields = np.array(checksums(read(trap.store, "tiny")["a"].values))
    assert {sample for _, sample in solved(trap.folder)[posed:]} == set(fields[~kept])

    posed = len(solved(trap.folder))
    kill_solvers(cluster)
    arrived = cluster.call("train", collect, "late", SHARDS)
    channel.close()
    assert sorted(shard.receipt.index for shard in arrived) == list(range(SHARDS))
    for shard in arrived:
        stored = trap.dataset().read_shard(shard.receipt.index)
        assert stored is not None
        np.testing.assert_array_equal(shard.ids, stored.sample_id)
        np.testing.assert_array_equal(shard.split, stored.split)
        for name, values in stored.arrays.items():
            np.testing.assert_array_equal(shard.fields[name], values, err_msg=name)
        for name, column in stored.ledger.items():
            np.testing.assert_array_equal(shard.receipt.ledger[name], column, err_msg=name)
    assert len(solved(trap.folder)) == posed
    assert trap.dataset().resolve("head").snapshot == head == generated.dataset["snapshot"]
    assert trap.commits() == dict.fromkeys(range(SHARDS), 1)


def kill_solvers(cluster: Cluster) -> None:
    """Kill the workers that solve."""
    solvers = workers(cluster, "solve").values()
    assert solvers
    for pid in solvers:
        os.kill(pid, signal.SIGKILL)
