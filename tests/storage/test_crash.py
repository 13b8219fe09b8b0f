from __future__ import annotations

import random
import signal
import time

import icechunk
import numpy as np
import pytest
import zarr

from ritz.storage import models
from ritz.storage.committer import Committer
from ritz.storage.datasets import Dataset
from ritz.storage.errors import Busy, StorageError, Unknown
from ritz.storage.layout import Layout
from ritz.storage.listing import list_datasets
from ritz.storage.reading import read
from ritz.storage.store import Store
from tests.storage.fields import definition, fields, fill, in_both, stored


def killed(*_, **__):
    raise KeyboardInterrupt


@in_both
@pytest.mark.parametrize("reached", ["the engine's settings", "a branch", "half of the layout", "all but the commit"])
def test_a_creation_that_was_killed_is_finished_by_the_next(store, reached, monkeypatch):
    last = {"a branch": (Layout, "write"), "half of the layout": (zarr.Group, "create_array")}
    with monkeypatch.context() as patch:
        patch.setattr(*last.get(reached, (icechunk.Session, "commit")), killed)
        with pytest.raises(KeyboardInterrupt):
            Committer.ensure(store, "made", **definition())
    if reached == "the engine's settings":
        for folder in ("refs", "chunks"):
            store.remove(f"datasets/made/{folder}")
        assert store.list("datasets/made")
    with pytest.raises(Unknown, match="none yet"):
        Dataset.open(store, "made")
    assert Dataset.find(store, "made", "one") is None
    assert list_datasets(store) == []
    # Another recipe may take the name: nothing of it is a dataset yet.
    made = Committer.ensure(store, "made", **definition(identity="two"))
    assert (made.identity, made.committed(), list_datasets(store)) == ("two", set(), ["made"])
    np.testing.assert_array_equal(made.index()[0], definition()["sample_id"])
    fill(made, 1)
    np.testing.assert_array_equal(stored(made, 1), fields(1)["u"])


@in_both
def test_a_dataset_that_lost_its_branch_is_named_and_not_replaced(dataset):
    fill(dataset, 0)
    dataset.store.remove("datasets/made/refs")
    for call in (Dataset.open, lambda *place: Committer.ensure(*place, **definition())):
        with pytest.raises(StorageError, match="made: the repository doesn't exist"):
            call(dataset.store, "made")
    assert dataset.store.list("datasets/made/chunks")


@in_both
def test_a_saving_that_was_killed_counts_for_nothing_and_is_replaced(store):
    models.save(store, "net", {"weights": b"first"}, {"identity": "one"})
    store.write("models/net/v2/weights", b"torn")
    store.write("models/net/v2/other", b"torn")
    store.write("models/new/v1/weights", b"torn")
    assert [one.spec for one in models.list_models(store)] == ["net@v1"]
    assert models.load(store, "net")[0] == {"weights": b"first"}
    with pytest.raises(Unknown, match="no version 'v2'; there are: v1"):
        models.load(store, "net@v2")
    with pytest.raises(Unknown, match=r"'new': not in .*; there are: net$"):
        models.load(store, "new")
    assert models.save(store, "net", {"weights": b"whole"}, {"identity": "two"}).version == "v2"
    assert models.load(store, "net") == ({"weights": b"whole"}, {"identity": "two"})


def test_a_writer_killed_at_random_moments_in_a_bucket_leaves_whole_shards_only(bucket, start):
    store, shards, moments = Store(bucket), 12, random.Random(5)
    found: set[int] = set()
    for kill in range(2):
        process = start("fill", bucket, shards)
        for _ in range(1 + kill):
            process.stdout.readline()
        time.sleep(moments.uniform(0.0, 0.2))
        process.send_signal(signal.SIGKILL)
        process.communicate()
        with store.lock("datasets/.made.lock", "the dataset", wait=10):
            # It was kept by the killed process for as long as its lease.
            pass
        dataset = Dataset.find(store, "made", "one")
        if dataset is not None:
            assert found <= dataset.committed()
            found = dataset.committed()
            for shard in found:
                np.testing.assert_array_equal(stored(dataset, shard), fields(shard)["u"])
    assert 0 < len(found) < shards
    process = start("fill", bucket, shards)
    said, errors = process.communicate(timeout=60)
    assert (process.returncode, errors) == (0, "")
    assert {int(line) for line in said.split()[1:]} == set(range(shards)) - found
    whole = read(store, "made@v1")
    np.testing.assert_array_equal(whole["u"], np.concatenate([fields(shard)["u"] for shard in range(shards)]))


@in_both
def test_the_lock_is_refused_by_name_and_ends_with_its_holder(dataset, start):
    process = start("hold", dataset.store.url)
    assert process.stdout.readline() == "held\n"
    with pytest.raises(Busy, match=rf"dataset 'made' .* in use by process {process.pid} on "), dataset.lock():
        pass
    with pytest.raises(Busy, match=str(process.pid)):
        dataset.publish("now")
    process.send_signal(signal.SIGKILL)
    process.communicate()
    with dataset.lock(wait=10):
        pass
