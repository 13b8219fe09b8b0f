from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ritz.storage import runs
from ritz.storage.reading import read
from ritz.storage.store import Store
from ritz.tasks.recipes import names
from ritz.tasks.views.measured import measured
from tests.command import inside, ritz
from tests.history import commits

TinyStore = tuple[Path, dict[str, Any]]


def _document(*arguments: str, command: Callable[..., subprocess.CompletedProcess[str]] = inside) -> Any:
    done = command(*arguments, "--json")
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    return json.loads(done.stdout)


def test_recipes_as_json() -> None:
    found = _document("recipes", command=ritz)
    assert [row["recipe"] for row in found] == names()
    came_to = measured()["darcy"]
    assert found[names().index("darcy")] == {
        "recipe": "darcy",
        "problem": "darcy",
        "samples": 1024,
        "solver": "auto",
        "surrogate": "fno",
        "error": pytest.approx(came_to.relative_l2, abs=1e-4),
        "minutes": pytest.approx(came_to.seconds / 60, abs=0.1),
        "pays_after": "never",
        "pays_after_batched": "never",
        "schedule": None,
    }


def test_datasets_as_json(tiny_store: TinyStore) -> None:
    assert _document("datasets", "--store", str(tiny_store[0]), command=ritz) == [
        {
            "dataset": "tiny",
            "version": "v1",
            "samples": 160,
            "planned": 160,
            "done": 160,
            "failed": 0,
            "problem": "darcy",
        }
    ]


def test_models_as_json(tiny_store: TinyStore) -> None:
    assert _document("models", "--store", str(tiny_store[0]), command=ritz) == [
        {
            "model": "tiny",
            "version": "v1",
            "dataset": "tiny@v1",
            "surrogate": "fno",
            "mode": "online",
            "steps": 96,
            "relative L2": tiny_store[1]["metrics"]["relative_l2"]["mean"],
            "break-even": "never",
            "release": "not judged",
            "released": True,
        }
    ]


def test_the_card_of_a_model(tiny_store: TinyStore) -> None:
    store, record = tiny_store
    card = _document("models", "tiny@v1", "--store", str(store))
    assert (card["model"], card["run"], card["mode"], card["released"]) == ("tiny@v1", record["run"], "online", True)
    assert card["dataset"] == {key: record["dataset"][key] for key in ("name", "version", "snapshot")}
    assert card["recipe"] == record["recipe"]
    assert card["training"]["steps"] == 96
    assert card["metrics"]["relative_l2"] == record["metrics"]["relative_l2"]
    assert card["truth"]["discretisation"]["points"] == {"y": 32, "x": 32}
    assert card["truth"]["labels"]["max"] < 1e-6
    assert card["calibration"]["coverage"] == record["coverage"]
    assert (card["cost"], card["break_even"]) == (record["cost"], record["break_even"])
    assert inside("models", "tiny", "--store", str(store)).stdout.startswith(
        "model: tiny@v1\nrelease: not judged\nreleased: true"
    )
    missing = inside("models", "none", "--store", str(store))
    assert missing.returncode == 2
    assert "model 'none': not in" in missing.stderr


def test_runs_as_json_are_whole_records_newest_last(tiny_store: TinyStore, tmp_path: Path) -> None:
    record = tiny_store[1]
    assert _document("runs", "--store", str(tiny_store[0]), command=ritz) == [record]
    for name, created in (("c", "2026-01-01"), ("a", "2026-01-02"), ("b", "2026-01-03")):
        runs.save(Store(tmp_path), name, record | {"run": name, "created": f"{created}T00:00:00+00:00"}, None)
    assert [found["run"] for found in _document("runs", "--store", str(tmp_path))] == ["c", "a", "b"]


def test_show_as_json(tiny_store: TinyStore) -> None:
    store, record = tiny_store
    found = _document("show", "tiny@v1", "--store", str(store), command=ritz)
    assert found["dataset"]["progress"] == {"done": 160, "failed": 0, "to_go": 0}
    assert found["dataset"]["chosen"] == {"version": "v1", "snapshot": record["dataset"]["snapshot"]}
    assert found["model"]["version"] == "tiny@v1"
    assert found["model"]["evaluation"]["metrics"] == record["metrics"]
    assert len(found["model"]["evaluation"]["worst"]) == 10
    assert not {"relative_l2", "sample_ids", "by_sample"} & set(found["model"]["evaluation"])
    assert found["model"]["calibration"]["coverage"] == record["coverage"]
    assert _document("show", record["run"], "--store", str(store)) == {"run": record}


def test_show_says_what_a_version_holds_and_who_used_it(tiny_store: TinyStore) -> None:
    store, record = tiny_store
    (version,) = _document("show", "tiny", "--store", str(store))["dataset"]["versions"]
    files = sum(path.stat().st_size for path in (store / "datasets" / "tiny" / "chunks").iterdir())
    assert 0.8 * files < version["bytes"] < 1.2 * files
    assert version["splits"] == record["dataset"]["splits"]
    assert version["used_by"] == {"models": ["tiny@v1"], "runs": [record["run"]]}


def test_lineage_of_a_dataset_and_of_a_model(tiny_store: TinyStore) -> None:
    store, record = tiny_store
    down = _document("lineage", "tiny", "--store", str(store))
    assert down["recipe"]["problem"] == record["recipe"]["problem"]
    (version,) = down["versions"]
    assert (version["models"], version["runs"]) == (["tiny@v1"], [record["run"]])
    up = _document("lineage", "tiny@v1", "--store", str(store))
    assert up["dataset"]["snapshot"] == version["snapshot"] == record["dataset"]["snapshot"]
    assert (up["run"], up["recipe"]) == (record["run"], down["recipe"])
    unknown = inside("lineage", "other", "--store", str(store))
    assert (unknown.returncode, unknown.stderr.count("\n")) == (2, 1)


def test_a_version_does_not_differ_from_itself(tiny_store: TinyStore) -> None:
    found = _document("diff", "tiny@v1", "tiny@latest", "--store", str(tiny_store[0]))
    assert found["same_samples"]
    assert found["samples"] | {"common": 160, "added": {}, "removed": {}} == found["samples"]
    assert found["recipe"] == found["variables"] == found["attributes"] == []


def test_a_collection_of_garbage_is_dry_unless_told(tiny_store: TinyStore, tmp_path: Path) -> None:
    record = tiny_store[1]
    store = shutil.copytree(tiny_store[0], tmp_path / "store")
    failed = {name: record[name] for name in ("identity", "command", "recipe", "versions")}
    for name, fit in (("old", "abandoned"), ("older", record["fit"])):
        (store / "fits" / fit).mkdir(exist_ok=True)
        runs.save(Store(store), name, failed | {"run": name, "status": "failed", "fit": fit, "error": "killed"})

    def look() -> set[str]:
        return {str(path.relative_to(store)) for path in store.rglob("*") if not path.name.startswith(".")}

    before = look()
    dry = _document_on("gc", "--older-than", "0", "--store", str(store))
    assert look() == before
    # The layout and the commits of 20 shards, one for some of them; the version is their end.
    history = commits(Store(store), "tiny")
    assert sum(map(len, history)) == 20
    assert [row["snapshots"] for row in dry["datasets"]] == [1 + sum(map(bool, history))]
    assert (dry["runs"], dry["fits"]) == (["old", "older"], ["abandoned"])
    done = _document_on("gc", "--older-than", "0", "--delete", "--store", str(store))
    assert (done["runs"], done["fits"], done["deleted"]) == (dry["runs"], dry["fits"], True)
    assert done["datasets"][0]["bytes"] > 0
    assert _document("runs", "--store", str(store)) == [record]
    assert _document_on("gc", "--older-than", "0", "--store", str(store))["datasets"][0]["snapshots"] == 0
    assert read(Store(store), "tiny@v1").load().identical(read(Store(tiny_store[0]), "tiny@v1").load())
    assert _document_on("gc", "--store", str(tiny_store[0]))["datasets"][0]["snapshots"] == 0


def _document_on(*arguments: str) -> Any:
    done = inside(*arguments, "--json")
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.mark.parametrize("command", ["datasets", "models", "runs"])
def test_listing_a_store_that_is_not_there_makes_none(command: str, tmp_path: Path) -> None:
    store = tmp_path / "nowhere"
    done = inside(command, "--store", str(store), "--json")
    assert (done.returncode, json.loads(done.stdout)) == (0, [])
    assert done.stderr == f"there is no store at {store}\n"
    assert not store.exists()


def test_listings_for_people_have_a_row_each(tiny_store: TinyStore) -> None:
    done = inside("runs", "--store", str(tiny_store[0]))
    header, row = done.stdout.splitlines()
    assert header.split() == ["run", "status", "dataset", "model", "relative", "L2", "seconds"]
    error = f"{tiny_store[1]['metrics']['relative_l2']['mean']:.4f}"
    assert row.split()[:5] == [tiny_store[1]["run"], "finished", "tiny@v1", "tiny@v1", error]


def test_a_run_that_did_not_finish_is_listed_with_what_it_has(tiny_store: TinyStore, tmp_path: Path) -> None:
    record, store = tiny_store[1], Store(tmp_path)
    begun = {key: record[key] for key in ("identity", "recipe", "command", "versions")}
    failed = begun | {"run": "a", "status": "failed", "error": "Busy: somebody", "created": "2026-01-01"}
    running = begun | {"run": "b", "status": "running", "created": "2026-01-02"}
    for one in (running, failed):
        runs.save(store, one["run"], one)
    done = inside("runs", "--store", store.url)
    assert [row.split() for row in done.stdout.splitlines()[1:]] == [
        ["a", "failed", "-", "-", "-", "-"],
        ["b", "running", "-", "-", "-", "-"],
    ]
    assert _document("runs", "--store", store.url) == [failed, running]
    assert _document("show", "a", "--store", store.url) == {"run": failed}
    assert "error: 'Busy: somebody'" in inside("show", "a", "--store", store.url).stdout


def test_the_store_may_come_from_the_environment(tiny_store: TinyStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RITZ_STORE", str(tiny_store[0]))
    assert [row["dataset"] for row in _document("datasets")] == ["tiny"]
