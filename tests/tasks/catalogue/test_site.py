"""The files of a catalogue: the same again changes nothing, what is gone goes, and nobody else's are touched."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

import ritz
from ritz.storage.errors import StorageError
from ritz.storage.store import Store
from ritz.tasks.catalogue import site as sites
from ritz.tasks.catalogue.named import named_by_catalogues
from ritz.tasks.catalogue.worker import catalogue
from tests.command import TINY, inside


def _bytes(folder: Path) -> dict[str, tuple[bytes, int]]:
    return {
        str(path.relative_to(folder)): (path.read_bytes(), path.stat().st_mtime_ns)
        for path in folder.rglob("*")
        if path.is_file() and path.name != sites.LOCK
    }


def test_the_same_again_writes_nothing(store: Path, site: Path) -> None:
    before = _bytes(site)
    again = catalogue(str(store), str(site))
    assert (again.written, again.removed) == ((), ())
    assert _bytes(site) == before


def test_the_store_knows_which_versions_are_named(store: Path, site: Path) -> None:
    found, damaged = named_by_catalogues(Store(store))
    assert (found, damaged) == ({("tiny", "v1"): [str(site)], ("theirs", "v1"): [str(site)]}, [])


def test_a_dataset_and_a_model_that_are_gone_leave_no_page(store: Path, site: Path, tmp_path: Path) -> None:
    kept, copy = tmp_path / "store", tmp_path / "site"
    shutil.copytree(store, kept)
    shutil.copytree(site, copy)
    # A catalogue knows its store by its place.
    manifest = copy / sites.MANIFEST
    manifest.write_text(manifest.read_text().replace(str(store), str(kept)))
    (copy / "own.html").write_text("a file of the user's own")
    shutil.rmtree(kept / "datasets" / "tiny")
    shutil.rmtree(kept / "models" / "tiny")
    found = catalogue(str(kept), str(copy))
    assert (found.datasets, found.models) == (1, 0)
    gone = {"datasets/tiny/index.html", "datasets/tiny/collection.json", "models/tiny/v1/index.html"}
    assert set(found.removed) == gone
    assert (copy / "own.html").exists()
    assert not any((copy / "models").iterdir())
    assert [path.name for path in (copy / "datasets").iterdir()] == ["theirs"]


def test_an_update_that_was_killed_is_finished_by_the_next(hostile: Path, tmp_path: Path) -> None:
    store, place = Store(hostile), sites.opened(Store(hostile), str(tmp_path / "site"))
    page = {"datasets/a/index.html": b"a", "index.html": b"first"}

    class Killed(Exception):
        pass

    class Dying(Store):
        def write(self, key: str, data: bytes, *, new: bool = False) -> None:
            if key == "index.html":
                raise Killed
            super().write(key, data, new=new)

    with pytest.raises(Killed):
        sites.update(store, Dying(place.url), page)
    assert sites.update(store, place, {"index.html": b"second"}).removed == ("datasets/a/index.html",)
    assert not place.exists("datasets/a/index.html")


def test_a_catalogue_is_served_by_a_bucket(hostile: Path, bucket: str) -> None:
    found = catalogue(str(hostile), f"{bucket}/site")
    assert found.index == f"{bucket}/site/index.html"
    place = Store(f"{bucket}/site")
    assert json.loads(place.read("catalog.json"))["links"][2]["href"] == "./datasets/theirs/collection.json"
    assert b"<h1>theirs@v1</h1>" in place.read("datasets/theirs/index.html")
    assert catalogue(str(hostile), f"{bucket}/site").written == ()


@pytest.mark.parametrize(
    ("folder", "message"),
    [
        ("store", "it is in the store .*; expected a folder of its own"),
        ("store/datasets", "it is in the store .*; expected a folder of its own"),
        ("taken", "index.html lies there, of no catalogue; expected a new or an empty folder"),
        ("other", "it is of the store '/other', not of .*; name another folder, or remove"),
    ],
)
def test_a_place_that_is_not_a_catalogues_is_refused(hostile: Path, tmp_path: Path, folder: str, message: str) -> None:
    shutil.copytree(hostile, tmp_path / "store")
    (tmp_path / "taken").mkdir()
    (tmp_path / "taken" / "index.html").touch()
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / sites.MANIFEST).write_text('{"format": 1, "store": "/other", "files": {}}')
    with pytest.raises(StorageError, match=f"catalogue .*{folder}: {message}"):
        catalogue(str(tmp_path / "store"), str(tmp_path / folder))
    # A recipe that names it is refused before any work.
    with pytest.raises(StorageError, match=message):
        ritz.generate(TINY, {"catalogue": str(tmp_path / folder)}, store=str(tmp_path / "store"))


def test_the_command_says_what_it_wrote(hostile: Path, tmp_path: Path) -> None:
    options = ("--store", str(hostile), "--to", str(tmp_path / "site"))
    done = inside("catalogue", *options)
    assert (done.returncode, done.stdout) == (0, f"1 dataset and 0 models in {tmp_path}/site/index.html\n")
    assert "5 files written, 0 removed" in done.stderr
    again = json.loads(inside("catalogue", *options, "--json").stdout)
    assert (again["written"], again["datasets"]) == ([], 1)
