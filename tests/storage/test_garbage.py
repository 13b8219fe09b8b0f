from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import numpy as np
import pytest

from ritz.storage.committer import Committer
from ritz.storage.datasets import Dataset
from ritz.storage.errors import Refused, Unknown
from ritz.storage.garbage import superseded, sweep
from ritz.storage.integrity import history
from ritz.storage.reading import read
from ritz.storage.shards import write_shard
from ritz.storage.store import Store
from tests.storage.fields import SHAPE, SHARD, fill, in_both, ledger

NOW = timedelta(0)


def noise(shard: int) -> dict[str, np.ndarray]:
    """Values that cannot be compressed into a manifest: they are files of their own."""
    random = np.random.default_rng(shard)
    return {name: random.standard_normal(SHAPE).astype(np.float32) for name in ("a", "u")}


def fill_noise(dataset: Committer, *shards: int) -> None:
    with dataset.lock():
        fork = dataset.fork()
        for shard in shards:
            dataset.commit({shard: (write_shard(fork, shard, noise(shard), ledger(shard)), ledger(shard))})


def chunks(dataset: Dataset) -> int:
    return len(list(Path(dataset.store.location("datasets/made/chunks")).iterdir()))


@pytest.fixture
def old(dataset: Committer) -> Committer:
    """Two versions, an unpublished state between them, and a shard that was written but never committed."""
    fill_noise(dataset, 0, 1)
    dataset.publish("two")
    fill_noise(dataset, 2)
    fill_noise(dataset, 3)
    dataset.publish("four")
    with dataset.lock():
        write_shard(dataset.fork(), 4, noise(4), ledger(4))
    return dataset


def test_a_dry_run_counts_and_changes_nothing(old):
    before = chunks(old)
    with old.lock():
        found = sweep(old, frozenset(), NOW, delete=False)
        assert sweep(old, frozenset(), NOW, delete=False) == found
    # The layout and a commit for each of four shards; two files of the shard that was never committed.
    assert (found.dataset, found.snapshots, found.objects) == ("made", 5, 2)
    assert found.bytes > 2 * SHARD * 64 * 4 * 0.8
    assert chunks(old) == before


def test_sweeping_leaves_versions_and_the_state_now_as_they_were(old):
    seen = read(old.store, "made@v1")
    before = [read(old.store, f"made@{version}").load() for version in ("v1", "v2")]
    versions, count = old.versions(), chunks(old)
    with old.lock():
        found = sweep(old, frozenset(), NOW, delete=True)
        assert sweep(old, frozenset(), NOW, delete=True).objects == 0
    assert found.snapshots == 5
    assert chunks(old) == count - 2
    assert Dataset.open(old.store, "made").versions() == versions
    for now, then in ((seen, before[0]), (read(old.store, "made@v1"), before[0]), (read(old.store, "made"), before[1])):
        assert now.load().identical(then)
    fill_noise(old, 4)
    assert old.publish("all").version == "v3"
    assert read(old.store, "made@v1").load().identical(before[0])


def test_a_snapshot_that_is_named_stays(old):
    named = old.at("v2").versions()[1].snapshot
    states = [info.id for info in old._repository.ancestry(branch="main") if 2 in info.metadata.get("shards", [])]
    before = read(old.store, f"made@{states[0]}").load()
    with old.lock():
        assert sweep(old, {*states, named}, NOW, delete=True).snapshots == 4
        assert sweep(old, {*states, named}, NOW, delete=True).snapshots == 0
    assert read(old.store, f"made@{states[0]}").load().identical(before)
    assert [version.version for version in old.versions()] == ["v1", "v2"]


def test_what_is_young_stays(old):
    with old.lock():
        found = sweep(old, frozenset(), timedelta(hours=1), delete=True)
    assert (found.snapshots, found.objects) == (0, 0)


def test_what_is_gone_is_unknown(old):
    gone = next(info.id for info in old._repository.ancestry(branch="main") if info.metadata.get("shards") == [0])
    with old.lock():
        sweep(old, frozenset(), NOW, delete=True)
    with pytest.raises(Unknown, match="there are: v1, v2"):
        read(old.store, f"made@{gone}")


def test_nobody_sweeps_beside_a_writer(dataset):
    fill(dataset, 0)
    with pytest.raises(Refused, match="one process commits"):
        sweep(dataset, frozenset(), NOW, delete=True)


@in_both
def test_superseded_versions_go_but_for_those_that_are_named(old):
    fill_noise(old, 4)
    third = old.publish("all").version
    before = {version: read(old.store, f"made@{version}").load() for version in ("v2", third)}
    versions = {one.version: one.snapshot for one in old.versions()}
    with old.lock():
        assert superseded(old, frozenset(), frozenset(), 3, NOW) == []
        assert superseded(old, frozenset(), frozenset(), 1, timedelta(hours=1)) == []
        assert superseded(old, frozenset(), frozenset(), 1, NOW) == ["v1", "v2"]
        assert superseded(old, {versions["v1"]}, {"v2"}, 1, NOW) == []
        old._repository.create_tag("paper", versions["v2"])
        assert superseded(old, frozenset(), frozenset(), 1, NOW) == ["v1"]
        counted = sweep(old, frozenset(), NOW, delete=False, without={"v1"}).snapshots
        old.unpublish(["v1"])
        assert sweep(old, frozenset(), NOW, delete=True).snapshots == counted
    assert [one.version for one in old.versions()] == ["v2", third]
    for version, then in before.items():
        assert read(old.store, f"made@{version}").load().identical(then)
    with pytest.raises(Unknown, match=f"there are: v2, {third}"):
        read(old.store, "made@v1")
    # Nothing is taken for damage, and no number is given a second time.
    assert history.check(old.store, "datasets/made").damage == ()
    assert old.publish("again").version == third


def test_versions_whose_removal_was_killed_are_removed_by_the_next(old, monkeypatch):
    class Killed(Exception):
        pass

    def dying(store: Store, key: str) -> None:
        if "/seals/v" in key:
            raise Killed
        remove(store, key)

    remove = Store.remove
    with monkeypatch.context() as patch, old.lock():
        patch.setattr(Store, "remove", dying)
        with pytest.raises(Killed):
            old.unpublish(["v1"])
    with old.lock():
        old.unpublish(())
    assert sorted(path.name for path in Path(old.store.location("datasets/made/seals")).iterdir()) == [
        "history.json",
        "v2.json",
    ]
    assert history.check(old.store, "datasets/made").damage == ()
