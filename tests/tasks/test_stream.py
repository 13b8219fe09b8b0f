from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ritz.compute.problems.darcy import Darcy
from ritz.storage import models
from ritz.storage.datasets import Dataset
from ritz.storage.store import Store
from ritz.tasks.documents import of_model
from ritz.tasks.report.arrivals import seen

TinyStore = tuple[Path, dict[str, Any]]


def test_what_the_trainer_saw_is_told_by_the_features_of_the_samples(tiny_store: TinyStore) -> None:
    store = Store(tiny_store[0])
    dataset = Dataset.open(store, "tiny").at("v1")
    files, _ = models.load(store, "tiny")
    history = of_model.history(store, "tiny")
    assert history is not None
    stream = seen(dataset, history, files["schedule.npy"])
    assert stream is not None
    assert (stream.of, len(stream.whole), len(stream.arrivals), len(stream.batches)) == (96, 96, 96, 96 * 8)
    np.testing.assert_allclose(np.sort(stream.arrivals), np.sort(stream.whole))
    assert set(stream.batches) <= set(stream.whole)

    # The same from the stored fields, with a decomposition of its own.
    data = dataset.read_shard(min(history.received, key=lambda one: one.time).shard)
    assert data is not None
    ids, split = dataset.index()
    everything = dataset.read_samples(ids[split == "train"]).arrays
    features = Darcy(shape=(16, 16)).features(everything).astype(float)
    standard = (features - features.mean(axis=0)) / features.std(axis=0)
    direction = np.linalg.svd(standard, full_matrices=False)[2][0]
    first = Darcy(shape=(16, 16)).features({"a": data.arrays["a"][data.split == "train"]}).astype(float)
    expected = (first - features.mean(axis=0)) / features.std(axis=0) @ direction / (standard @ direction).std()
    sign = np.sign(expected @ stream.shards[0])
    np.testing.assert_allclose(stream.shards[0], sign * expected, atol=1e-4)

    numbers, table = stream.numbers(), stream.table()
    assert numbers["arrivals"] == pytest.approx(max(abs(row["arrivals"]) for row in table))
    assert numbers["batches"] == pytest.approx(max(abs(row["batches"]) for row in table))
    assert 0 < numbers["by_chance"] < 1.2


def test_without_its_problem_nothing_is_told(tiny_store: TinyStore, monkeypatch: pytest.MonkeyPatch) -> None:
    store = Store(tiny_store[0])
    dataset = Dataset.open(store, "tiny").at("v1")
    files, _ = models.load(store, "tiny")
    recipe = dataset.recipe
    dataset.attrs["recipe"] = json.dumps(recipe | {"problem": {"kind": "somebody's"}})
    history = of_model.history(store, "tiny")
    assert history is not None
    assert seen(dataset, history, files["schedule.npy"]) is None
    assert seen(dataset, history, files["schedule.npy"], Darcy(shape=(16, 16))) is not None
