from __future__ import annotations

import pickle
from pathlib import Path

import pytest

from storage.errors import StorageError
from storage.store import Store


def test_a_path_and_a_file_url_are_the_same_store(tmp_path):
    folder = tmp_path / "with space"
    store = Store(folder)
    assert store == Store(str(folder)) == Store(folder.as_uri()) == pickle.loads(pickle.dumps(store))
    assert store.url == str(folder)
    assert not folder.exists()


@pytest.mark.parametrize("url", ["s3://bucket/x", "file://elsewhere/x", "http://host/x", "", "~nobody-of-that-name/x"])
def test_other_places_are_refused(url):
    with pytest.raises(StorageError, match="expected a folder"):
        Store(url)


def test_files_are_replaced_whole_and_nothing_is_left_aside(store):
    store.write("a/b.bin", b"old")
    store.write("a/b.bin", b"new")
    assert store.read("a/b.bin") == b"new"
    assert [file.name for file in Path(store.location("a")).iterdir()] == ["b.bin"]


def test_a_write_that_fails_keeps_the_old_content(store):
    store.write("a/b", b"old")
    with pytest.raises(TypeError):
        store.write("a/b", "text")
    assert store.read("a/b") == b"old"
    assert [file.name for file in Path(store.location("a")).iterdir()] == ["b"]


def test_listing_names_what_lies_directly_below(store):
    assert store.list("a") == []
    for key in ("a/two", "a/one/deep", "a/.hidden"):
        store.write(key, b"")
    assert store.list("a") == ["one", "two"]
    assert store.exists("a/one")
    assert not store.exists("a/three")


@pytest.mark.parametrize("key", ["", "/etc/passwd", "../x", "a/../../x", "a//b", "a/./b", "a\0b"])
def test_keys_cannot_leave_the_store(store, key):
    with pytest.raises(StorageError, match="expected a relative path"):
        store.location(key)


def test_a_folder_moves_once(store):
    store.write("a/x", b"1")
    store.write("b/x", b"2")
    with pytest.raises(StorageError, match="exists already"):
        store.move("a", "b")
    store.remove("b")
    store.move("a", "b")
    assert store.read("b/x") == b"1"
    assert not store.exists("a")


def test_what_cannot_be_reached_is_named(tmp_path):
    (tmp_path / "file").write_text("in the way")
    store = Store(tmp_path / "file" / "store")
    for call in (
        store.check_writable,
        lambda: store.write("a", b""),
        lambda: store.read("a"),
        lambda: store.list("a"),
    ):
        with pytest.raises(StorageError, match="file/store"):
            call()
    assert not store.exists("a")


def test_a_writable_store_is_made_and_left_empty(store):
    store.check_writable()
    assert list(Path(store.url).iterdir()) == []


def test_a_store_that_is_gone_is_not_made_anew(tmp_path):
    (tmp_path / "store").mkdir()
    stores = {"found": Store(tmp_path / "store"), "made": Store(tmp_path / "made"), "written": Store(tmp_path / "new")}
    stores["made"].check_writable()
    stores["written"].write("a", b"")
    for store in stores.values():
        Path(store.url).rename(tmp_path / "away")
        for write in (lambda store=store: store.write("a/b", b""), store.check_writable):
            with pytest.raises(StorageError, match=rf"store {store.url} is gone"):
                write()
        assert not Path(store.url).exists()
        (tmp_path / "away").rename(store.url)
        store.write("a/b" if store is not stores["written"] else "b", b"back")
