"""A solve worker whose network is cut: it is given up, and another one solves what it had."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

import dask
import pytest

from ritz.compute.solvers.factorization.direct import Direct
from ritz.storage.store import Store
from ritz.tasks.generation.generate import generate
from ritz.tasks.recipes import load_profile
from tests.faults import outside
from tests.faults.conftest import PATIENCE, ROOT, SHARD, SHARDS, Trap, wait_until, workers
from tests.faults.hosts import Hosts, standing
from tests.faults.trapped import solved
from tests.require import require

pytestmark = pytest.mark.slow

SHORT = {"distributed.comm.timeouts.tcp": "11s", "distributed.comm.timeouts.connect": "5s"}
"""Time-outs as short as Dask takes them."""

ON_HOSTS = {
    "PYTHONPATH": str(ROOT),
    "DASK_DISTRIBUTED__COMM__TIMEOUTS__TCP": "11s",
    "DASK_DISTRIBUTED__COMM__TIMEOUTS__CONNECT": "5s",
    "DASK_DISTRIBUTED__SCHEDULER__WORKER_TTL": "5s",
}

PROBES, PROBED = 2, 1 + SHARD
"""Blocks that the probe of a named solver poses, one sample and a shard, and the samples in them."""

FREE = 4
"""Shards that are solved before both workers are held up, each with one."""


@pytest.fixture(scope="module")
def hosts(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hosts]:
    require("root", "iproute2")
    workers = {"first": "solve", "second": "solve"}
    with dask.config.set(SHORT), standing(tmp_path_factory.mktemp("hosts"), workers, (), ON_HOSTS) as running:
        yield running


def test_what_a_worker_had_that_is_cut_off_is_solved_elsewhere_and_stored_once(tmp_path: Path, hosts: Hosts) -> None:
    trap = Trap(tmp_path / "trap", Store(tmp_path / "store"), {})
    trap.folder.mkdir()
    pipeline = trap.pipeline.model_copy(update={"solver": Direct()})
    with (
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


@pytest.mark.soak
def test_a_driver_that_connects_while_a_worker_is_mute_has_the_others(
    hosts: Hosts, caplog: pytest.LogCaptureFixture
) -> None:
    """All workers are asked for their versions, and one does not answer: Dask still takes it for one of its own."""
    profile = load_profile(hosts.profile)
    with profile.open(("solve",)) as cluster:
        wait_until(lambda: cluster.workers("solve") == 2)
    with hosts.by_name["second"].mute(), profile.open(("solve",)) as cluster:
        assert cluster.call("solve", abs, -1) == 1
    assert "a worker does not answer; all are asked again" in caplog.text
    with profile.open(("solve",)) as cluster:
        wait_until(lambda: cluster.workers("solve") == 2)
