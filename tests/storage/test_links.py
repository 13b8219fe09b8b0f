"""In a shared store nothing is opened, emptied or removed through a link, nor outside of it."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest

from ritz.storage import models, runs
from ritz.storage.committer import Committer
from ritz.storage.datasets import Dataset
from ritz.storage.errors import StorageError
from ritz.storage.garbage import sweep
from ritz.storage.integrity.located import locate
from ritz.storage.listing import look_at_datasets
from ritz.storage.store import Store
from tests.storage.fields import fill
from tests.storage.holder import held

PRECIOUS = b"precious"


@pytest.fixture
def outside(tmp_path: Path) -> Path:
    """A folder of somebody else, of which nothing may change."""
    folder = tmp_path / "outside"
    (folder / "sub").mkdir(parents=True)
    (folder / "file").write_bytes(PRECIOUS)
    (folder / "sub" / "file").write_bytes(PRECIOUS)
    return folder


def untouched(outside: Path) -> bool:
    found = {str(path.relative_to(outside)) for path in outside.rglob("*")}
    return found == {"file", "sub", "sub/file"} and all(
        (outside / name).read_bytes() == PRECIOUS for name in ("file", "sub/file")
    )


def calls(store: Store, key: str) -> list[Callable[[], object]]:
    return [
        lambda: store.read(key),
        lambda: store.exists(key),
        lambda: store.list(key),
        lambda: store.documents(key, "file"),
        lambda: store.links(key),
        lambda: store.remove(key),
        lambda: store.repository(key),
        lambda: store.lock(key, "it").__enter__(),
        lambda: store.holder(key),
    ]


@pytest.mark.parametrize("place", ["fits", "fits/one", "fits/one/two"])
def test_no_call_goes_through_a_link(store: Store, outside: Path, place: str) -> None:
    link = Path(store.location(place))
    link.parent.mkdir(parents=True)
    link.symlink_to(outside)
    for key in (place, f"{place}/sub", f"{place}/file", f"{place}/new"):
        for call in calls(store, key):
            with pytest.raises(StorageError, match=rf"{link} is a link: nothing inside a store"):
                call()
        if key != place:
            with pytest.raises(StorageError, match=rf"{link} is a link"):
                store.write(key, b"x")
    assert untouched(outside)


def test_a_write_replaces_a_link_and_not_what_it_means(store: Store, outside: Path) -> None:
    store.write("runs/a/record.json", b"old")
    place = Path(store.location("runs/a/record.json"))
    place.unlink()
    place.symlink_to(outside / "file")
    with pytest.raises(StorageError, match=r"record\.json is a link"):
        store.read("runs/a/record.json")
    with pytest.raises(StorageError, match="exists already"):
        store.write("runs/a/record.json", b"new", new=True)
    store.write("runs/a/record.json", b"new")
    assert (store.read("runs/a/record.json"), place.is_symlink()) == (b"new", False)
    assert untouched(outside)


def test_what_is_removed_takes_links_away_and_not_what_they_mean(store: Store, outside: Path) -> None:
    store.write("fits/one/checkpoint", b"x")
    (Path(store.location("fits/one")) / "way").symlink_to(outside)
    (Path(store.location("fits/one")) / "file").symlink_to(outside / "file")
    assert store.links("fits") == ["fits/one/file", "fits/one/way"]
    store.remove("fits/one")
    assert not store.exists("fits/one")
    assert untouched(outside)


def test_the_store_itself_may_be_a_link(tmp_path: Path) -> None:
    (tmp_path / "disk").mkdir()
    (tmp_path / "store").symlink_to(tmp_path / "disk")
    store = Store(tmp_path / "store")
    store.write("runs/a/x", b"x")
    with store.lock("runs/.a.lock", "it"):
        assert store.read("runs/a/x") == b"x"
    assert (tmp_path / "disk" / "runs" / "a" / "x").exists()


def test_a_dangling_link_is_no_absent_file(store: Store, tmp_path: Path) -> None:
    store.write("runs/a/x", b"x")
    Path(store.location("runs/b")).symlink_to(tmp_path / "nowhere")
    with pytest.raises(StorageError, match="runs/b is a link"):
        store.exists("runs/b")
    assert not (tmp_path / "nowhere").exists()


@pytest.mark.parametrize("kind", ["link", "name", "file", "folder", "pipe"])
def test_what_is_no_lock_is_left_as_it_is(store: Store, outside: Path, kind: str) -> None:
    store.write("datasets/x", b"")
    lock, victim = Path(store.location("datasets/.a.lock")), outside / "file"
    if kind == "link":
        lock.symlink_to(victim)
    elif kind == "name":
        os.link(victim, lock)
    elif kind == "file":
        lock.write_bytes(PRECIOUS)
    elif kind == "folder":
        lock.mkdir()
    else:
        os.mkfifo(lock)
    with pytest.raises(StorageError, match=r"datasets/\.a\.lock"), store.lock("datasets/.a.lock", "it", wait=5):
        pass
    assert untouched(outside)
    assert kind != "file" or lock.read_bytes() == PRECIOUS


def test_an_empty_file_with_a_second_name_is_no_lock(store: Store, outside: Path) -> None:
    victim = outside.parent / "log"
    victim.write_bytes(b"process 7 on elsewhere")
    store.write("datasets/x", b"")
    os.link(victim, store.location("datasets/.a.lock"))
    with pytest.raises(StorageError, match="another file's second name"), store.lock("datasets/.a.lock", "it"):
        pass
    assert victim.read_bytes() == b"process 7 on elsewhere"


def test_a_lock_that_is_replaced_while_one_waits_for_it_is_taken_where_it_is_now(store: Store) -> None:
    with held(store, "a.lock") as release:
        Path(store.location("a.lock")).rename(store.location("b.lock"))
        threading.Timer(0.2, release.set).start()
        with store.lock("a.lock", "it", wait=30):
            # Who comes next meets this one, not the file that was renamed.
            code = f"from ritz.storage.store import Store\nwith Store({store.url!r}).lock('a.lock', 'it'): pass"
            done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
            assert f"it is in use by process {os.getpid()} on " in done.stderr


def test_a_pipe_in_the_place_of_a_file_keeps_nobody_waiting(store: Store) -> None:
    store.write("runs/a/x", b"")
    os.mkfifo(store.location("runs/a/record.json"))
    with pytest.raises(StorageError, match=r"record\.json: expected a file"):
        store.read("runs/a/record.json")
    assert [str(error) for error in runs.look(store).damaged] == [
        f"{store.location('runs/a/record.json')}: expected a file, found a folder or something else"
    ]


@pytest.mark.parametrize("part", ["", "chunks", "manifests", "snapshots", "transactions", "refs", "refs/branch.main"])
def test_a_folder_of_a_dataset_that_is_a_link_is_not_opened(dataset: Committer, outside: Path, part: str) -> None:
    fill(dataset, 0)
    place = Path(dataset.store.location("datasets/made")) / part
    away = outside.parent / "away"
    place.rename(away)
    place.symlink_to(away)
    for call in (
        lambda: Dataset.open(dataset.store, "made"),
        lambda: fill(dataset, 1),
        lambda: dataset.store.repository("datasets/made"),
    ):
        with pytest.raises(StorageError, match=rf"{place} is a link"):
            call()
    (error,) = look_at_datasets(dataset.store).damaged
    assert "is a link" in str(error)


@pytest.mark.parametrize("place", ["chunks/way", "snapshots/way", "way"])
def test_a_collection_of_garbage_refuses_what_the_engine_would_follow(
    dataset: Committer, outside: Path, place: str
) -> None:
    fill(dataset, 0)
    (Path(dataset.store.location("datasets/made")) / place).symlink_to(outside)
    for delete in (False, True):
        with (
            dataset.store.lock("datasets/.made.lock", "it"),
            pytest.raises(StorageError, match=f"made/{place} is a link"),
        ):
            sweep(dataset, frozenset(), timedelta(0), delete=delete)
    assert untouched(outside)


def test_a_link_that_appears_between_check_and_use_is_not_followed(
    store: Store, outside: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who removes a folder has opened the one above it: a link that is put there meanwhile leads nowhere."""
    store.write("fits/one/sub/file", b"x")
    remove = shutil.rmtree

    def exchanged(name: str, dir_fd: int) -> None:
        Path(store.location("fits")).rename(store.location("was"))
        Path(store.location("fits")).symlink_to(outside)
        (outside / "one").mkdir()
        remove(name, dir_fd=dir_fd)
        (outside / "one").rmdir()

    monkeypatch.setattr(shutil, "rmtree", exchanged)
    store.remove("fits/one")
    assert untouched(outside)
    assert not Path(store.location("was/one")).exists()


def test_records_and_cards_of_linked_folders_are_named(store: Store, outside: Path) -> None:
    runs.save(store, "good", {"identity": "1", "status": "failed"})
    models.save(store, "net", {"a": b"a"}, {"identity": "1"})
    Path(store.location("runs/bad")).symlink_to(store.location("runs/good"))
    Path(store.location("models/bad")).symlink_to(store.location("models/net"))
    Path(store.location("models/net/v2")).symlink_to(store.location("models/net/v1"))
    assert [record["run"] for record in runs.look(store).good] == ["good"]
    assert [version.spec for version in models.look(store).good] == ["net@v1"]
    for found in (runs.look(store).damaged, models.look(store).damaged):
        assert all("is a link" in str(error) for error in found)
    assert (len(runs.look(store).damaged), len(models.look(store).damaged)) == (1, 2)


@pytest.mark.parametrize("name", ["../../outside", "/etc", "a\0b", "..", "made/../../outside"])
def test_a_name_that_a_document_holds_leads_nowhere(dataset: Committer, outside: Path, name: str) -> None:
    store = dataset.store
    for call in (
        lambda: Dataset.open(store, name),
        lambda: locate(store, f"{name}@v1"),
        lambda: locate(store, f"made@{name}"),
        lambda: models.load(store, name),
        lambda: models.read_file(store, name, "card.json"),
        lambda: runs.load(store, name),
        lambda: store.remove(f"fits/{name}"),
        lambda: store.exists(f"fits/{name}"),
    ):
        with pytest.raises(StorageError):
            call()
    assert untouched(outside)
