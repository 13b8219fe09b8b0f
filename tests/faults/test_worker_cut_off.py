"""A solve worker whose network is cut: it is given up, and another one solves what it had."""

from __future__ import annotations

from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

import dask

from ritz.compute.solvers.factorization.direct import Direct
from ritz.storage.store import Store
from ritz.tasks.generation.generate import generate
from ritz.tasks.recipes import load_profile
from tests.faults import outside
from tests.faults.conftest import PATIENCE, PROBED, PROBES, ROOT, SHARD, SHARDS, Trap, wait_until, workers
from tests.faults.hosts import standing
from tests.faults.trapped import solved
from tests.require import require

SHORT = {"distributed.comm.timeouts.tcp": "11s", "distributed.comm.timeouts.connect": "5s"}
"""Time-outs as short as Dask takes them."""

ON_HOSTS = {
    "PYTHONPATH": str(ROOT),
    "DASK_DISTRIBUTED__COMM__TIMEOUTS__TCP": "11s",
    "DASK_DISTRIBUTED__COMM__TIMEOUTS__CONNECT": "5s",
    "DASK_DISTRIBUTED__SCHEDULER__WORKER_TTL": "5s",
}

FREE = 4
"""Shards that are solved before both workers are held up, each with one."""


def test_what_a_worker_had_that_is_cut_off_is_solved_elsewhere_and_stored_once(tmp_path: Path) -> None:
    require("root", "iproute2")
    trap = Trap(tmp_path / "trap", Store(tmp_path / "store"), {})
    trap.folder.mkdir()
    pipeline = trap.pipeline.model_copy(update={"solver": Direct()})
    with (
        dask.config.set(SHORT),
        standing(tmp_path / "hosts", {"first": "solve", "second": "solve"}, (), ON_HOSTS) as hosts,
        load_profile(hosts.profile).open(("solve",)) as cluster,
        ThreadPoolExecutor(1) as pool,
        ExitStack() as cut,
    ):
        first = hosts.by_name["first"]
        wait_until(lambda: cluster.workers("solve") == 2)
        [lost] = [pid for address, pid in workers(cluster, "solve").items() if f"//{first.address}:" in address]
        with trap.gated(PROBES + FREE):
            generating = pool.submit(generate.fn, pipeline, trap.store.url, cluster)
            held_up = PROBED + (FREE + 2) * SHARD
            wait_until(lambda: generating.done() or len(solved(trap.folder)) == held_up)
            cut.enter_context(first.cut())
        # Both go on; of what the first one finishes nobody hears.
        generated = generating.result(PATIENCE)
        assert cluster.workers("solve") == 1
    posed = solved(trap.folder)[PROBED:]
    times = Counter(sample for _, sample in posed)
    again = {sample for sample, count in times.items() if count > 1}
    assert len(again) >= SHARD
    assert again <= {sample for pid, sample in posed if pid == lost}
    assert max(times.values()) == 2
    found = outside.seen(tmp_path / "store", "tiny")
    assert (found["versions"], found["ids"]) == (["v1"], list(range(SHARDS * SHARD)))
    assert trap.commits() == dict.fromkeys(range(SHARDS), 1)
    assert trap.dataset().resolve("head").snapshot == generated.dataset.snapshot
