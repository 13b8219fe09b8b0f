"""One damaged document names itself, and the commands that do not need it do their work."""

from __future__ import annotations

import json
import os
import shutil
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ritz.storage import models, runs
from ritz.storage.store import Store
from tests.command import inside

DATA = Path(__file__).parents[2] / "data" / "store.tar.gz"
OLD = "2020-01-01T00:00:00+00:00"


@pytest.fixture(scope="module")
def pristine(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store with a dataset, a model and a run, all called ``small``, and others beside them that will be damaged."""
    folder = tmp_path_factory.mktemp("damaged")
    with tarfile.open(DATA) as archive:
        archive.extractall(folder, filter="data")
    store = Store(folder / "store")
    card = models.read_card(store, "small")
    models.save(store, "other", {"release.json": b"{}"}, {**card, "identity": "other"})
    (record,) = runs.look(store).good
    runs.save(store, "other", {**record, "run": "other"})
    shutil.copytree(store.location("datasets/small"), store.location("datasets/other"))
    return Path(store.url)


@pytest.fixture
def store(pristine: Path, tmp_path: Path) -> Path:
    return shutil.copytree(pristine, tmp_path / "store")


def _gone(path: Path) -> None:
    shutil.rmtree(path) if path.is_dir() else path.unlink()


def _folder(path: Path) -> None:
    _gone(path)
    path.mkdir()


def _link(path: Path) -> None:
    _gone(path)
    path.symlink_to("nowhere")


def _pipe(path: Path) -> None:
    _gone(path)
    os.mkfifo(path)


def _texts(text: bytes) -> Callable[[Path], None]:
    return lambda path: _written(path, text)


def _written(path: Path, text: bytes) -> None:
    path.write_bytes(text)


def _changed(**entries: Any) -> Callable[[Path], None]:
    return lambda path: _written(path, json.dumps({**json.loads(path.read_bytes()), **entries}).encode())


def _without(name: str) -> Callable[[Path], None]:
    def change(path: Path) -> None:
        document = json.loads(path.read_bytes())
        del document[name]
        path.write_text(json.dumps(document))

    return change


ANY = {
    "empty": _texts(b""),
    "cut off": _texts(b'{"run": "other", '),
    "garbage": _texts(b"garbage"),
    "not UTF-8": _texts(b'{"identity": "\xff\xfe"}'),
    "a list": _texts(b"[]"),
    "a number": _texts(b"3"),
    "null": _texts(b"null"),
    "deep": _texts(b"[" * 100_000),
    "no identity": _without("identity"),
    "an identity of another type": _changed(identity=[1]),
    "a folder": _folder,
    "a dangling link": _link,
    "a pipe": _pipe,
}
RECORDS = {
    **ANY,
    "no status": _without("status"),
    "another status": _changed(status="done"),
    "a time that is none": _changed(created="yesterday"),
    "a time of another type": _changed(created=7),
    "a dataset of another type": _changed(dataset=[]),
    "a snapshot of another type": _changed(dataset={"name": "small", "version": "v1", "snapshot": 7}),
    "a model of another type": _changed(model="small"),
    "a recipe of another type": _changed(recipe=3),
    "a recipe without a name": _changed(recipe={}),
    "a recipe called by a path": _changed(recipe={"name": "../../outside"}),
    "a training called by a path": _changed(fit="../../outside"),
    "a training called by a list": _changed(fit=[]),
    "metrics of another type": _changed(metrics=[]),
    "times of another type": _changed(times={"total": "long"}),
}


@pytest.mark.parametrize("damage", RECORDS)
def test_a_damaged_record(store: Path, damage: str) -> None:
    RECORDS[damage](store / "runs" / "other" / "record.json")
    listed = inside("runs", "--store", str(store))
    assert listed.returncode == 0, listed.stderr
    assert "small" in listed.stdout
    assert "runs/other" in listed.stderr or "run other" in listed.stderr
    assert len(listed.stderr.splitlines()) == 1
    _others_work(store, damage)


@pytest.mark.parametrize("damage", ANY)
def test_a_damaged_card(store: Path, damage: str) -> None:
    ANY[damage](store / "models" / "other" / "v1" / "card.json")
    listed = inside("models", "--store", str(store), "--json")
    assert listed.returncode == 0, listed.stderr
    assert [row["model"] for row in json.loads(listed.stdout)] == ["small"]
    assert "models/other/v1/card.json" in listed.stderr
    for command in (("models", "other"), ("show", "other@v1")) if damage in ("garbage", "a pipe") else ():
        done = inside(*command, "--store", str(store))
        # The dataset of this name is shown.
        assert done.returncode == (2 if command[0] == "models" else 0)
        assert "models/other/v1/card.json" in done.stderr
    _others_work(store, damage)


def _others_work(store: Path, damage: str) -> None:
    """Look that commands which do not need what is damaged do their work; all of them for a few sorts of damage."""
    if damage not in ("cut off", "a list", "a pipe", "stray"):
        return
    for command in (("show", "small@v1"), ("lineage", "small"), ("models", "small"), ("datasets",)):
        done = inside(*command, "--store", str(store), "--json")
        assert done.returncode == 0, done.stderr
        assert json.loads(done.stdout)
        assert "Traceback" not in done.stderr
    done = inside("gc", "--older-than", "0", "--store", str(store), "--json")
    assert done.returncode == 0, done.stderr
    assert [row["dataset"] for row in json.loads(done.stdout)["datasets"]] == ["other", "small"]


@pytest.mark.parametrize("place", ["datasets", "models", "runs", "models/small"])
@pytest.mark.parametrize("stray", ["file", "link", "name with space"])
def test_a_stray_entry(store: Path, place: str, stray: str) -> None:
    path = store / place / ("a b" if "space" in stray else "stray")
    path.symlink_to(store) if stray == "link" else path.write_text("x")
    command = place.partition("/")[0]
    done = inside(command, "--store", str(store))
    assert done.returncode == 0, done.stderr
    assert "small" in done.stdout
    assert path.name in done.stderr
    _others_work(store, "stray" if stray == "link" else "")


@pytest.mark.parametrize(
    ("file", "damage"),
    [
        *(
            (f"refs/{ref}/ref.json", text)
            for ref in ("branch.main", "tag.v1")
            for text in (b"", b"{}", b'{"snapshot": "../../x"}', b"\xff\xfe", b'{"snapshot": [1]}')
        ),
        ("config.yaml", b"\xff\xfe"),
        ("config.yaml", b"caching: 3"),
    ],
)
def test_a_damaged_dataset(store: Path, file: str, damage: bytes) -> None:
    (store / "datasets" / "other" / file).write_bytes(damage)
    done = inside("datasets", "--store", str(store), "--json")
    assert done.returncode == 0, done.stderr
    assert [row["dataset"] for row in json.loads(done.stdout)] == ["small"]
    assert "datasets/other" in done.stderr
    for command in (("show", "small"), ("runs",), ("models",), ("lineage", "small"), ("diff", "small@v1", "small@v1")):
        assert inside(*command, "--store", str(store)).returncode == 0
    for command in (("lineage", "other"), ("diff", "small@v1", "other@v1")):
        done = inside(*command, "--store", str(store))
        assert done.returncode == 2
        assert "datasets/other" in done.stderr
    collected = json.loads(inside("gc", "--older-than", "0", "--store", str(store), "--json").stdout)
    assert [row["dataset"] for row in collected["datasets"]] == ["small"]
    assert any("other" in line for line in collected["damaged"])


def test_while_something_is_damaged_nothing_is_removed_that_it_may_name(store: Path) -> None:
    (record,) = [one for one in runs.look(Store(store)).good if one["run"] != "other"]
    begun = {name: record[name] for name in ("identity", "recipe", "command", "versions")}
    for name, fit in (("with", "begun"), ("without", None)):
        kept = {**begun, "status": "failed", "created": OLD} | ({"fit": fit} if fit else {})
        runs.save(Store(store), name, kept)
    Store(store).write("fits/begun/checkpoint.safetensors", b"x")
    whole = (store / "runs" / "other" / "record.json").read_bytes()
    (store / "runs" / "other" / "record.json").write_bytes(b"{}")
    found = _collected(store)
    assert (found["runs"], found["fits"]) == (["without"], [])
    assert all(row["snapshots"] == 0 for row in found["datasets"])
    assert "all history and all checkpoints stay" in found["damaged"][-1]
    assert (store / "fits" / "begun").exists()
    (store / "runs" / "other" / "record.json").write_bytes(whole)
    found = _collected(store)
    assert (found["runs"], found["fits"], found["damaged"]) == (["with"], ["begun"], [])
    assert all(row["snapshots"] > 0 for row in found["datasets"])


def test_a_record_that_claims_to_be_another_run_is_judged_by_its_folder(store: Path) -> None:
    (real,) = [one["run"] for one in runs.look(Store(store)).good if one["run"] != "other"]
    liar = json.loads((store / "runs" / real / "record.json").read_bytes())
    liar |= {"run": real, "status": "failed", "created": OLD}
    (store / "runs" / "liar").mkdir()
    (store / "runs" / "liar" / "record.json").write_text(json.dumps(liar))
    assert _collected(store)["runs"] == ["liar"]
    assert (store / "runs" / real / "record.json").exists()
    assert not (store / "runs" / "liar").exists()
    # Its training is that of a model.
    assert (store / "fits" / liar["fit"]).exists()


def test_a_run_that_is_going_on_is_left_alone(store: Path) -> None:
    runs.save(Store(store), "now", {"identity": "x", "status": "running", "created": OLD, "recipe": {"name": "busy"}})
    runs.save(Store(store), "old", {"identity": "x", "status": "running", "created": OLD, "recipe": {"name": "idle"}})
    with Store(store).lock("runs/.busy.lock", "it"):
        for delete in (False, True):
            found = _collected(store, delete)
            assert found["runs"] == ["old"]
            assert "busy" in found["busy"][0]
    assert (store / "runs" / "now").exists()


def test_a_collection_holds_the_lock_of_the_run_that_it_removes(store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    runs.save(Store(store), "old", {"identity": "x", "status": "failed", "created": OLD, "recipe": {"name": "idle"}})
    remove, held = Store.remove, []

    def removed(self: Store, key: str) -> None:
        held.append((key, self.holds("runs/.idle.lock")))
        remove(self, key)

    monkeypatch.setattr(Store, "remove", removed)
    _collected(store)
    assert held == [("runs/old", True)]


def _collected(store: Path, delete: bool = True) -> dict[str, Any]:
    arguments = ("--delete",) if delete else ()
    done = inside("gc", "--older-than", "0", *arguments, "--store", str(store), "--json")
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found
