from __future__ import annotations

import os
import pickle
import subprocess
import sys
from pathlib import Path

import pytest

from ritz.storage.backends.s3 import filesystem
from ritz.storage.errors import StorageError
from ritz.storage.store import Store
from tests.storage.fields import in_both

ROOT = Path(__file__).parents[2]


def test_a_path_and_a_file_url_are_the_same_store(tmp_path):
    folder = tmp_path / "with space"
    store = Store(folder)
    assert store == Store(str(folder)) == Store(folder.as_uri()) == pickle.loads(pickle.dumps(store))
    assert store.url == str(folder)
    assert not folder.exists()


@pytest.mark.parametrize("url", ["gs://bucket/x", "file://elsewhere/x", "http://host/x", "", "~nobody-of-that-name/x"])
def test_other_places_are_refused(url):
    with pytest.raises(StorageError, match="expected a folder"):
        Store(url)


def test_a_url_that_holds_a_secret_is_refused_without_repeating_it():
    for url in (
        "s3://KEY:SECRET@bucket/x",
        "s3://KEY:SEC/RET@bucket",
        "s3://bucket/x?aws_secret_access_key=SECRET",
        "s3://bucket/x#SECRET",
        "S3://SECRET@bucket",
        "s3:KEY:SECRET@bucket",
        "http://KEY:SECRET@host/x",
        "gs://bucket?token=SECRET",
    ):
        with pytest.raises(StorageError) as caught:
            Store(url)
        assert "SEC" not in str(caught.value)
        assert "s3://bucket/prefix" in str(caught.value)


@pytest.mark.parametrize("url", ["s3://", "s3://b", "s3:///x", "s3:/bucket/x", "s3://bucket//x", "s3://bucket/a/../b"])
def test_a_bucket_has_a_name_and_a_prefix_without_tricks(url):
    with pytest.raises(StorageError, match="expected s3://bucket/prefix"):
        Store(url)


def test_a_bucket_is_named_without_asking_for_it():
    store = Store("s3://bucket/team/ritz/")
    assert store == Store("s3://bucket/team/ritz") == pickle.loads(pickle.dumps(store))
    assert hash(store) == hash(Store("s3://bucket/team/ritz"))
    assert store != Store("s3://bucket/team")
    assert (store.url, Store("s3://bucket/").url) == ("s3://bucket/team/ritz", "s3://bucket")
    assert store.location("runs/a") == "s3://bucket/team/ritz/runs/a"


@in_both
def test_files_are_replaced_whole(store):
    store.write("a/b.bin", b"old")
    store.write("a/b.bin", b"new")
    assert store.read("a/b.bin") == b"new"
    store.write("a/c.bin", b"first", new=True)
    with pytest.raises(StorageError, match=r"a/b\.bin: it exists already"):
        store.write("a/b.bin", b"newer", new=True)
    assert (store.read("a/b.bin"), store.read("a/c.bin")) == (b"new", b"first")
    assert store.list("a") == ["b.bin", "c.bin"]


def test_nothing_is_left_aside_in_a_folder(tmp_path):
    store = Store(tmp_path)
    store.write("a/b.bin", b"x")
    with pytest.raises(StorageError, match="exists already"):
        store.write("a/b.bin", b"y", new=True)
    assert [file.name for file in (tmp_path / "a").iterdir()] == ["b.bin"]


@in_both
def test_a_write_that_fails_keeps_the_old_content(store):
    store.write("a/b", b"old")
    with pytest.raises(TypeError):
        store.write("a/b", "text")
    assert store.read("a/b") == b"old"
    assert store.list("a") == ["b"]


@in_both
def test_listing_names_what_lies_directly_below(store):
    assert store.list("a") == []
    for key in ("a/two", "a/one/deep", "a/.hidden", "ab/three"):
        store.write(key, b"")
    assert store.list("a") == ["one", "two"]
    assert store.exists("a/one")
    assert store.exists("a/one/deep")
    assert not store.exists("a/three")
    assert not store.exists("a/tw")


@in_both
def test_documents_are_those_of_the_folders_that_have_one(store):
    assert store.documents("runs", "record.json") == {}
    for key in ("b/record.json", "a/record.json", "a/other", "c/other", "record.json", ".d/record.json"):
        store.write(f"runs/{key}", key.encode())
    found = store.documents("runs", "record.json")
    stray = found.pop("record.json")
    assert found == {"a": b"a/record.json", "b": b"b/record.json"}
    assert isinstance(stray, StorageError)
    assert "runs/record.json" in str(stray)


@in_both
def test_a_folder_is_removed_with_all_below_it_and_nothing_beside(store):
    for key in ("a/x", "a/b/x", "ab/x"):
        store.write(key, b"x")
    store.remove("a")
    store.remove("a")
    assert [store.exists(key) for key in ("a", "a/b/x", "ab/x")] == [False, False, True]


@in_both
def test_another_process_is_seen_at_once(store):
    store.write("a/x", b"")
    assert store.list("a") == ["x"]
    code = f"from ritz.storage.store import Store; Store({store.url!r}).write('a/y', b'')"
    subprocess.run([sys.executable, "-W", "error", "-c", code], check=True, cwd=ROOT)
    assert store.list("a") == ["x", "y"]
    assert store.exists("a/y")


@pytest.mark.parametrize("key", ["", "/etc/passwd", "../x", "a/../../x", "a//b", "a/./b", "a\0b"])
def test_keys_cannot_leave_the_store(store, key):
    with pytest.raises(StorageError, match="expected a relative path"):
        store.location(key)


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


def test_a_writable_folder_is_made_and_left_empty(tmp_path):
    Store(tmp_path / "a" / "b").check_writable()
    assert list((tmp_path / "a" / "b").iterdir()) == []


def test_a_writable_bucket_is_left_empty(bucket):
    Store(bucket).check_writable()
    assert not Store(bucket.partition("/team")[0]).exists("team")


def test_a_bucket_that_is_not_there_is_named_by_every_call(s3):
    store = Store("s3://nobody-made-this/x")
    for call in (
        store.check_writable,
        lambda: store.write("a", b""),
        lambda: store.read("a"),
        lambda: store.list("a"),
        lambda: store.exists("a"),
        lambda: store.documents("a", "b"),
        lambda: store.remove("a"),
        lambda: store.lock("a", "it").__enter__(),
    ):
        with pytest.raises(StorageError, match=r"s3://nobody-made-this/x.*: there is no such bucket"):
            call()


def test_a_server_that_does_not_keep_conditions_is_refused(s3):
    filesystem().call_s3(
        "create_bucket", Bucket="careless", CreateBucketConfiguration={"LocationConstraint": s3["AWS_REGION"]}
    )
    with pytest.raises(StorageError, match="in spite of If-None-Match"):
        Store("s3://careless/x").check_writable()


def test_a_bucket_needs_an_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "s3fs", None)
    monkeypatch.setattr(os, "getpid", lambda: -1)
    with pytest.raises(StorageError, match=r"pip install 'ritz\[s3\]'"):
        Store("s3://bucket/x").list("a")


def test_a_store_that_is_gone_is_not_made_anew(tmp_path):
    (tmp_path / "store").mkdir()
    stores = {"found": Store(tmp_path / "store"), "made": Store(tmp_path / "made"), "written": Store(tmp_path / "new")}
    stores["made"].check_writable()
    stores["written"].write("a", b"")
    for store in stores.values():
        Path(store.url).rename(tmp_path / "away")
        for write in (
            lambda store=store: store.write("a/b", b""),
            lambda store=store: store.lock("a/.lock", "it").__enter__(),
            store.check_writable,
        ):
            with pytest.raises(StorageError, match=rf"store {store.url} is gone"):
                write()
        assert not Path(store.url).exists()
        (tmp_path / "away").rename(store.url)
        store.write("a/b" if store is not stores["written"] else "b", b"back")


def test_a_store_that_is_not_there_or_empty_says_so(tmp_path):
    (tmp_path / "ritz-store" / "datasets" / "one").mkdir(parents=True)
    (tmp_path / "empty").mkdir()
    assert Store(tmp_path / "ritz-store").nothing() == ""
    assert Store(tmp_path / "empty").nothing() == (
        f"the store {tmp_path}/empty is empty: it has no dataset, no model and no run"
    )
    assert Store(tmp_path / "elsewhere").nothing() == f"there is no store at {tmp_path}/elsewhere"
    mistyped = Store(tmp_path / "ritz-stroe").nothing()
    assert mistyped == f"there is no store at {tmp_path}/ritz-stroe; did you mean {tmp_path}/ritz-store?"


def test_an_empty_bucket_says_so(bucket):
    assert Store(bucket).nothing() == f"the store {bucket} is empty: it has no dataset, no model and no run"
    Store(bucket).write("runs/a/record.json", b"{}")
    assert Store(bucket).nothing() == ""


@pytest.mark.parametrize("url", ["~/mine", "file://~/mine", "file:///~/mine"])
def test_the_home_is_meant_by_a_tilde(url, tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    assert Store(url).url == str(tmp_path / "mine")


@pytest.mark.parametrize("url", ["x" * 100_000, "ftp://" + "x" * 100_000, "s3://" + "x" * 100_000, "/" + "y/" * 50_000])
def test_a_message_about_a_store_has_a_length_that_can_be_read(url):
    with pytest.raises(StorageError) as caught:
        Store(url).check_writable()
    assert len(str(caught.value)) < 600
