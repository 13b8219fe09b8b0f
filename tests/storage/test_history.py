"""Every file that a dataset's history consists of is named when it is damaged; a collection of garbage stops before."""

from __future__ import annotations

import os
import random
import shutil
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from ritz.storage.committer import Committer
from ritz.storage.digests import stamped
from ritz.storage.errors import StorageError
from ritz.storage.garbage import sweep
from ritz.storage.integrity import history
from ritz.storage.store import Store
from tests.storage.fields import definition, fill

KEY = "datasets/made"
NOW = timedelta(0)


@pytest.fixture(scope="module")
def pristine(tmp_path_factory: pytest.TempPathFactory) -> Store:
    """Two versions, a growth, and a commit behind them."""
    store = Store(tmp_path_factory.mktemp("history") / "store")
    dataset = Committer.ensure(store, "made", **definition())
    for shards, message in (((0, 1), "some"), ((2,), "more"), ((3,), "")):
        fill(dataset, *shards)
        if message:
            dataset.publish(message)
    return store


@pytest.fixture
def store(pristine: Store, tmp_path: Path) -> Store:
    return Store(shutil.copytree(pristine.url, tmp_path / "store"))


def files(store: Store) -> Iterator[Path]:
    for path in sorted(Path(store.location(KEY)).rglob("*")):
        if path.is_file() and "chunks" not in path.parts:
            yield path


def named(store: Store) -> set[str]:
    return {one.object for one in history.check(store, KEY).damage}


def key_of(store: Store, path: Path) -> str:
    return str(path.relative_to(store.url))


def test_a_whole_history_has_digests_but_for_what_was_committed_since(store: Store) -> None:
    found = history.check(store, KEY)
    assert found.damage == ()
    # A snapshot, a log, and a manifest for each array of the last commit.
    assert 0 < found.without < found.checked / 2
    dataset = Committer.open(store, "made")
    dataset.publish("all")
    assert (history.check(store, KEY).without, history.check(store, KEY).damage) == (0, ())


def test_every_region_of_every_file_is_looked_at(store: Store) -> None:
    Committer.open(store, "made").publish("all")
    rng = random.Random(3)
    kinds = set()
    for path in files(store):
        whole = path.read_bytes()
        third = max(1, len(whole) // 3)
        for start in range(0, len(whole), third):
            place = min(start + rng.randrange(third), len(whole) - 1)
            path.write_bytes(whole[:place] + bytes([whole[place] ^ 1 << rng.randrange(8)]) + whole[place + 1 :])
            assert key_of(store, path) in named(store), (path, place)
        path.write_bytes(whole[:-1])
        assert key_of(store, path) in named(store), path
        path.write_bytes(whole)
        kinds.add(path.relative_to(store.location(KEY)).parts[0])
    assert kinds == {"snapshots", "manifests", "transactions", "refs", "seals", "config.yaml"}
    assert named(store) == set()


@pytest.mark.parametrize(
    ("file", "fault"),
    [
        ("refs/tag.v1/ref.json", b"[" * 100000),
        ("refs/tag.v1/ref.json", b"[]"),
        ("refs/tag.v1/ref.json", 10**12),
        ("refs/branch.main/ref.json", b"[" * 100000),
        ("refs/branch.main/ref.json", 10**12),
        ("seals/v1.json", stamped({})),
        ("seals/v1.json", 10**12),
        ("seals/history.json", stamped({"files": 3})),
        ("seals/history.json", 10**12),
    ],
)
def test_a_document_that_a_stranger_has_written_is_named(store: Store, file: str, fault: bytes | int) -> None:
    path = Path(store.location(f"{KEY}/{file}"))
    if isinstance(fault, int):
        # A file without content takes no room, whatever its size.
        os.truncate(path, fault)
    else:
        path.write_bytes(fault)
    assert f"{KEY}/{file}" in named(store)


@pytest.mark.parametrize("folder", ["snapshots", "manifests", "transactions", "refs/branch.main", "refs/tag.v1"])
def test_a_file_that_is_missing_is_named(store: Store, folder: str) -> None:
    Committer.open(store, "made").publish("all")
    path = next(iter(sorted(Path(store.location(f"{KEY}/{folder}")).iterdir())))
    path.unlink()
    if folder == "refs/tag.v1":
        # That is also what a run leaves that was killed while it published.
        assert named(store) <= {key_of(store, path)}
        return
    path.parent.rmdir() if folder == "refs/branch.main" else None
    assert key_of(store, path) in named(store)


def test_without_digests_a_file_is_looked_at_as_far_as_it_can_be_read(store: Store) -> None:
    Path(store.location(history.history_key(KEY))).unlink()
    found = history.check(store, KEY)
    assert found.damage == ()
    assert found.without > 10
    for folder in history.FOLDERS:
        path = next(Path(store.location(f"{KEY}/{folder}")).iterdir())
        whole = path.read_bytes()
        for damaged in (b"", whole[:20], b"\0" * len(whole), whole[: len(whole) // 2]):
            path.write_bytes(damaged)
            assert key_of(store, path) in named(store)
        path.write_bytes(whole)


@pytest.mark.parametrize("folder", history.FOLDERS)
def test_a_collection_stops_before_a_damaged_history_and_changes_nothing(store: Store, folder: str) -> None:
    dataset = Committer.open(store, "made")
    dataset.publish("all")
    path = sorted(Path(store.location(f"{KEY}/{folder}")).iterdir())[0]
    whole = path.read_bytes()
    path.write_bytes(whole[:-4] + bytes(4))
    before = {one: one.read_bytes() for one in files(store)}
    for delete in (False, True):
        with dataset.lock(), pytest.raises(StorageError, match=rf"{path}: .*see `ritz audit made`"):
            sweep(dataset, frozenset(), NOW, delete=delete)
    assert {one: one.read_bytes() for one in files(store)} == before
    path.write_bytes(whole)
    with dataset.lock():
        assert sweep(dataset, frozenset(), NOW, delete=True).snapshots > 0
    assert (history.check(store, KEY).damage, history.check(store, KEY).without) == ((), 0)


def test_a_collection_that_is_killed_leaves_no_damage(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    dataset = Committer.open(store, "made")
    monkeypatch.setattr(history, "record", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
    with pytest.raises(KeyboardInterrupt), dataset.lock():
        sweep(dataset, frozenset(), NOW, delete=True)
    monkeypatch.undo()
    found = history.check(store, KEY)
    assert found.damage == ()
    assert found.without > 0
    with dataset.lock():
        sweep(dataset, frozenset(), NOW, delete=True)
    assert history.check(store, KEY).without == 0


def test_a_dry_run_needs_neither_the_lock_nor_a_writable_store(store: Store) -> None:
    dataset = Committer.open(store, "made")
    with dataset.lock():
        held = sweep(dataset, frozenset(), NOW, delete=False)
    before = {path: path.stat().st_mtime_ns for path in Path(store.url).rglob("*")}
    assert sweep(Committer.open(store, "made"), frozenset(), NOW, delete=False) == held
    assert {path: path.stat().st_mtime_ns for path in Path(store.url).rglob("*")} == before
