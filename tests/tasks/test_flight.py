from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from ritz.storage.committer import Committer
from ritz.storage.shards import write_shard
from ritz.storage.store import Store
from ritz.tasks.generation.described import described
from ritz.tasks.generation.in_flight import InFlight
from ritz.tasks.recipes import load
from ritz.tasks.views.lists import show
from ritz.tasks.views.shown import Progress
from tests.command import SMALL


def _commit(dataset: Committer, shard: int) -> None:
    shape = (dataset.shard, 8, 8)
    fields = {name: np.ones(shape, np.float32) for name in dataset.fields}
    n = dataset.shard
    ledger: dict[str, Any] = {"status": ["ok"] * n, "reason": [""] * n, "residual": [1e-9] * n, "iterations": [0] * n}
    ledger |= {"matvecs": [1] * n, "seconds": [0.1] * n, "solver": ["direct"] * n}
    dataset.commit({shard: (write_shard(dataset.fork(), shard, fields, ledger), ledger)})


def _progress(store: Store) -> Progress:
    found = show(store.url, "small").dataset
    assert found is not None
    return found.progress


def test_show_tells_how_far_a_growing_dataset_is(tmp_path: Path) -> None:
    store = Store(tmp_path / "store")
    dataset = Committer.ensure(store, "small", **described(load(SMALL), np.arange(40)))
    state = _progress(store)
    assert state.document() == {
        "done": 0, "failed": 0, "to_go": 40, "in_flight": 0, "driver": None, "samples_per_second": None,
    }  # fmt: skip
    flight = InFlight(dataset)
    with dataset.lock():
        shards = flight.begin([0, 1])
        for shard in shards:
            _commit(dataset, shard)
        state = _progress(store)
        assert (state.done, state.to_go, state.in_flight) == (16, 24, 16)
        assert state.driver is not None
        assert state.driver.startswith("process ")
        assert state.samples_per_second is not None
        assert state.samples_per_second > 1
        flight.end(2)
        assert _progress(store).in_flight == 0
        next(InFlight(dataset).begin([2]))
        assert _progress(store).in_flight == 8
    # What a driver said that is gone is not true any more.
    assert _progress(store).in_flight == 0
