from __future__ import annotations

import pickle
from typing import Any

import numpy as np
import pytest

from ritz.storage.committer import Committer
from ritz.storage.datasets import Dataset
from ritz.storage.errors import Refused, StorageError
from ritz.storage.reading import read
from ritz.storage.shards import write_shard
from tests.storage.fields import SHARD, SHARDS, N, definition, fields, fill, ledger

MORE: dict[str, Any] = {
    "sample_id": np.arange(2 * SHARD),
    "split": ["train", "test"] * SHARD,
    "recipe": {"samples": N + 2 * SHARD},
}


@pytest.fixture
def grown(dataset: Committer) -> Committer:
    """A dataset that was published whole, grown by two shards, and has the second of them."""
    fill(dataset, *range(SHARDS))
    dataset.publish("all")
    with dataset.lock():
        dataset.grow(**MORE)
    fill(dataset, SHARDS + 1)
    return dataset


def test_new_samples_come_behind_those_there_are(grown):
    assert (grown.samples, grown.n_shards, grown.recipe) == (N + 2 * SHARD, SHARDS + 2, MORE["recipe"])
    assert Dataset.open(grown.store, "made").samples == N + 2 * SHARD
    ids, split = grown.index()
    np.testing.assert_array_equal(ids, [*definition()["sample_id"], *range(2 * SHARD)])
    assert list(split[N:]) == MORE["split"]
    assert grown.committed() == {*range(SHARDS), SHARDS + 1}
    assert grown.progress() == {"done": N + SHARD, "failed": 0, "to_go": SHARD}
    np.testing.assert_array_equal(grown.read_samples(np.array([SHARD])).arrays["u"], fields(SHARDS + 1)["u"][:1])
    assert grown.publish("more").samples == N + SHARD


def test_who_opened_a_version_before_reads_the_same_bytes_after(dataset):
    fill(dataset, *range(SHARDS))
    dataset.publish("all")
    seen, handle = read(dataset.store, "made@v1"), Dataset.open(dataset.store, "made").at("v1")
    before = read(dataset.store, "made@v1").load()
    with dataset.lock():
        dataset.grow(**MORE)
    fill(dataset, SHARDS, SHARDS + 1)
    dataset.publish("more")
    for now in (seen, read(dataset.store, "made@v1")):
        assert now.load().identical(before)
    for pinned in (handle, pickle.loads(pickle.dumps(handle))):
        assert (pinned.samples, pinned.n_shards) == (N, SHARDS)
        assert pinned.committed() == set(range(SHARDS))
        assert len(pinned.ledger()["status"]) == N
        with pytest.raises(Refused, match=f"expected one of 0 to {SHARDS - 1}"):
            pinned.read_shard(SHARDS)
    assert read(dataset.store, "made@v2").sizes["sample"] == N + 2 * SHARD


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"sample_id": 1000 + np.arange(2 * SHARD)}, "1000 is in the dataset already"),
        ({"sample_id": np.zeros(2 * SHARD, int)}, "expected 8 different integers"),
        ({"sample_id": np.arange(SHARD + 1), "split": ["train"] * (SHARD + 1)}, "5 samples in shards of 4"),
        ({"split": ["train", "held"] * SHARD}, "split: expected 8 names"),
        ({"recipe": {"samples": float("nan")}}, "what JSON can hold"),
    ],
)
def test_a_growth_that_is_not_as_said_changes_nothing(dataset, changes, message):
    with dataset.lock(), pytest.raises(StorageError, match=message):
        dataset.grow(**{**MORE, **changes})
    assert Committer.open(dataset.store, "made").samples == dataset.samples == N


def test_only_the_holder_of_the_lock_grows(dataset):
    with pytest.raises(Refused, match="one process commits"):
        dataset.grow(**MORE)


def test_a_fork_from_before_is_committed_after(dataset):
    with dataset.lock():
        written = write_shard(dataset.fork(), 1, fields(1), ledger(1))
        dataset.grow(**MORE)
        assert dataset.commit({1: (written, ledger(1))})
    assert dataset.committed() == {1}
    assert dataset.samples == N + 2 * SHARD
