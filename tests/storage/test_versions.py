from __future__ import annotations

import icechunk
import numpy as np
import pytest

from ritz.storage.committer import Committer
from ritz.storage.datasets import Dataset
from ritz.storage.errors import Refused, StorageError, Unknown
from ritz.storage.reading import read, resolve
from tests.storage.fields import SHARD, N, fields, fill, in_both


@in_both
def test_versions_are_numbered_and_named_again_only_when_something_was_committed(dataset):
    with pytest.raises(Refused, match="nothing to publish"):
        dataset.publish("empty")
    fill(dataset, 0)
    first = dataset.publish("one shard")
    assert (first.version, first.samples, first.message, first.spec) == ("v1", SHARD, "one shard", "made@v1")
    assert dataset.publish("again") == first
    assert Committer.open(dataset.store, "made").publish("again") == first
    fill(dataset, 1, 2)
    with dataset.lock():
        second = dataset.publish("three shards")
    assert (second.version, second.samples) == ("v2", 3 * SHARD)
    assert dataset.versions() == [first, second]
    folder = "datasets/made/chunks"
    chunks = sum(len(dataset.store.read(f"{folder}/{name}")) for name in dataset.store.list(folder))
    assert 0 < first.bytes < second.bytes <= chunks


@in_both
def test_a_version_is_found_by_tag_snapshot_latest_and_head(dataset):
    fill(dataset, 0)
    first = dataset.publish("one")
    fill(dataset, 1)
    second = dataset.publish("two")
    fill(dataset, 2)
    store = dataset.store
    assert resolve(store, "made") == resolve(store, "made@latest") == resolve(store, "made@v2") == second
    assert resolve(store, "made@v1") == resolve(store, f"made@{first.snapshot}") == first
    head = resolve(store, "made@head")
    assert (head.version, head.samples) == (head.snapshot, 3 * SHARD)
    assert resolve(store, f"made@{head.snapshot}") == head
    assert read(store, "made@v1").sizes["sample"] == SHARD
    assert read(store, f"made@{second.snapshot}").sizes["sample"] == 2 * SHARD
    assert read(store, "made@head").sizes["sample"] == 3 * SHARD
    assert list(dataset.at("v1").ledger()["status"]).count("ok") == SHARD


@pytest.mark.parametrize("version", ["v2", "v0", "v01", "1", "newest", "1CECHNKREP0F1RSTCMT0", "AAAAAAAAAAAAAAAAAAAA"])
def test_unknown_versions_are_answered_with_those_there_are(dataset, version):
    with pytest.raises(Unknown, match="none yet"):
        dataset.resolve()
    fill(dataset, 0)
    dataset.publish("one")
    with pytest.raises(Unknown, match=f"no version '{version}'; there are: v1"):
        resolve(dataset.store, f"made@{version}")


def test_an_empty_version_is_refused(dataset):
    with pytest.raises(StorageError, match="expected a version after '@'"):
        resolve(dataset.store, "made@")


@in_both
def test_a_publication_that_was_killed_before_its_tag_is_finished_by_the_next(dataset, monkeypatch):
    fill(dataset, 0)
    first = dataset.publish("one")
    fill(dataset, 1)

    def killed(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(icechunk.Repository, "create_tag", killed)
        with pytest.raises(KeyboardInterrupt):
            dataset.publish("two")
    assert dataset.versions() == [first]
    second = Committer.open(dataset.store, "made").publish("two, again")
    assert (second.version, second.message, second.samples) == ("v2", "two", 2 * SHARD)
    assert dataset.versions() == [first, second]
    assert Dataset.open(dataset.store, "made").attrs["history"].count("v2") == 1


@in_both
def test_an_open_version_does_not_change_while_a_writer_commits(dataset):
    fill(dataset, 0)
    dataset.publish("one")
    everything = ("ok", "failed", "absent")
    before = read(dataset.store, "made@v1", everything)
    head = read(dataset.store, "made@head", everything)
    fill(dataset, 1, 2)
    dataset.publish("three")
    for seen in (before, head):
        assert list(seen["status"].values) == [1] * SHARD + [0] * (N - SHARD)
        np.testing.assert_array_equal(seen["u"][:SHARD], fields(0)["u"])
        assert np.isnan(seen["u"][SHARD:]).all()
    assert read(dataset.store, "made").sizes["sample"] == 3 * SHARD
