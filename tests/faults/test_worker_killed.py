from __future__ import annotations

import os
import signal
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from ritz.compute.cluster.cluster import Cluster
from ritz.storage.reading import read
from ritz.tasks.generation.generate import generate
from tests.faults.conftest import PROBES, SHARD, SHARDS, Trap, wait_until, workers
from tests.faults.trapped import checksums, collect, solved


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
    assert trap.dataset().resolve("head").snapshot == head == generated.dataset.snapshot
    assert trap.commits() == dict.fromkeys(range(SHARDS), 1)


def kill_solvers(cluster: Cluster) -> None:
    """Kill the workers that solve."""
    solvers = workers(cluster, "solve").values()
    assert solvers
    for pid in solvers:
        os.kill(pid, signal.SIGKILL)
