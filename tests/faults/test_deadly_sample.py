"""A sample that kills every worker that solves it is set aside, and the run comes to its end."""

from __future__ import annotations

import logging
from typing import Any

import numpy as np
import pytest

from ritz.compute.cluster.cluster import Cluster
from ritz.storage.datasets import Dataset
from ritz.storage.reading import read
from ritz.tasks.generation.dispatch import dispatch
from ritz.tasks.generation.generate import generate
from tests.faults.conftest import SHARD, SHARDS, Trap

pytestmark = pytest.mark.slow


def allow(cluster: Cluster, deaths: int) -> int:
    """Have the scheduler give a task up after so many deaths; return after how many it did."""

    def change(dask_scheduler: Any) -> int:
        before: int = dask_scheduler.allowed_failures
        dask_scheduler.allowed_failures = deaths
        return before

    before: int = cluster.client.run_on_scheduler(change)
    return before


def test_deadly_samples_are_set_aside_and_the_run_ends(
    new_trap: Trap, cluster: Cluster, caplog: pytest.LogCaptureFixture
) -> None:
    trap = new_trap
    # The probe takes the samples of the shard that is solved first, which is none of theirs.
    first = trap.pipeline.model_copy(update={"name": "harmless"})
    generate.fn(first, trap.store.url, cluster)
    ids = Dataset.open(trap.store, "harmless").index()[0].reshape(SHARDS, SHARD)
    _, *others = dispatch(first.data.seed, SHARDS).tolist()
    deadly = tuple(ids[others[shard], position].item() for shard, position in ((3, 0), (3, 5), (9, 7)))
    problem = first.problem.model_copy(update={"deadly": deadly})
    pipeline = trap.pipeline.model_copy(update={"problem": problem, "name": "deadly"})
    before = allow(cluster, 2)
    try:
        with caplog.at_level(logging.WARNING, "ritz"):
            made = generate.fn(pipeline, trap.store.url, cluster)
    finally:
        allow(cluster, before)
    assert made.ledger.failed == len(deadly)
    failed = read(trap.store, "deadly", statuses=("failed",))
    assert sorted(failed["sample_id"].values.tolist()) == sorted(deadly)
    assert np.isnan(failed["u"].values).all()
    assert set(read(trap.store, "deadly")["sample_id"].values) == set(range(SHARDS * SHARD)) - set(deadly)
    said = [record.getMessage() for record in caplog.records if "set aside" in record.getMessage()]
    for sample in deadly:
        assert any(f"sample {sample}" in line for line in said)
