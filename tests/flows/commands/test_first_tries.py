"""What somebody types who has read the first page of the README and nothing else."""

from __future__ import annotations

import json
import os
import pwd
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from shutil import copytree
from tempfile import TemporaryDirectory
from typing import Any

import pytest

from ritz.storage.store import Store
from tests.command import SMALL, TINY, inside, ritz
from tests.require import require

TinyStore = tuple[Path, dict[str, Any]]


def _said(*arguments: str, code: int = 2) -> str:
    done = inside(*arguments)
    assert done.returncode == code, done.stderr
    assert done.stderr.count("\n") == 1, done.stderr
    return done.stderr


@pytest.mark.parametrize("command", ["datasets", "models", "runs"])
def test_a_mistyped_or_empty_store_says_so(command: str, tiny_store: TinyStore, tmp_path: Path) -> None:
    near = tiny_store[0].with_name("stroe")
    assert _said(command, "--store", str(near), code=0) == (
        f"there is no store at {near}; did you mean {tiny_store[0]}?\n"
    )
    said = f"the store {tmp_path} is empty: it has no dataset, no model and no run\n"
    assert _said(command, "--store", str(tmp_path), code=0) == said
    done = inside(command, "--store", str(tmp_path), "--json")
    assert (json.loads(done.stdout), done.stderr) == ([], said)


def test_a_store_without_what_is_asked_for_says_so(tmp_path: Path) -> None:
    Store(tmp_path).write("fits/one/summary.json", b"{}")
    assert _said("models", "--store", str(tmp_path), code=0) == f"the store {tmp_path} has none\n"


MISTAKES = {
    "show tinny": "see `ritz datasets`, `ritz models` and `ritz runs`; did you mean 'tiny'?",
    "show tiny --store {new}": "in {new}; there is no store at {new}",
    "lineage tinny": "did you mean 'tiny'?",
    "export tinny --to {new}.nc": "dataset 'tinny': not in {store}; there are: tiny; did you mean 'tiny'?",
    "predict tinny --input a.nc --output u.nc": "model 'tinny': not in {store}; there are: tiny; did you mean 'tiny'?",
    "generate tiny": "recipe 'tiny' is unknown; the store has a dataset of this name: tiny@latest is the recipe",
    "generate tiny@v9": "dataset 'tiny' has no version 'v9'; there are: v1",
    "generate tinny@v1": "dataset 'tinny': not in {store}; there are: tiny; did you mean 'tiny'?",
    "run dracy": "did you mean 'darcy'?",
    "run darcy.yml": "recipe 'darcy.yml': no such file; did you mean the shipped darcy",
    "generate {recipe} --set data.seed=5 --set problem.shape=[8,8]": (
        "is made by another recipe: problem.shape is [16, 16] there and [8, 8] here; "
        "data.seed is 0 there and 5 here; name a new one, e.g. --set name=tiny-2"
    ),
    "generate {recipe} --samples 320 --set data.samples=640": "data.samples is given twice, 640 and 320",
    "generate {recipe} --set data.samples=32 --set data.samples=64": "--set data.samples is given twice, 32 and 64",
    "generate {recipe} --set data.samples=": "Input should be a valid integer (got None); the value is empty",
    "run {recipe} --samples 32": (
        "expected at least 19: the highest of uncertainty.levels, 0.95, asks for them; "
        "the smallest data.samples that has enough is 136"
    ),
    "export tiny --to {new}.csv": "expected a name that ends in .zarr, .nc or .h5, or --format",
    "export tiny --to {new} --format netdcf": "expected one of zarr, netcdf, hdf5; did you mean 'netcdf'?",
}
"""What is typed, and a part of what is answered."""


@pytest.mark.parametrize("command", MISTAKES)
def test_a_mistake_is_answered_by_what_may_be_meant(command: str, tiny_store: TinyStore, tmp_path: Path) -> None:
    places = {"store": str(tiny_store[0]), "new": str(tmp_path / "new"), "recipe": TINY}
    arguments = [part.format(**places) for part in command.split(" ")]
    if "--store" not in arguments:
        arguments += ["--store", places["store"]]
    assert MISTAKES[command].format(**places) in _said(*arguments)
    assert not (tmp_path / "new").exists()


def test_what_the_store_knows_is_a_recipe(tiny_store: TinyStore) -> None:
    store = ("--store", str(tiny_store[0]))
    assert "nothing to do: tiny@v1 has all samples" in _said("generate", "tiny@v1", *store, code=0)
    assert f"nothing to do: run {tiny_store[1]['run']}" in inside("run", "tiny@latest", *store).stderr
    fields = {row["path"]: row["value"] for row in json.loads(inside("recipes", "tiny@v1", *store, "--json").stdout)}
    assert (fields["problem.shape"], fields["data.samples"]) == ([16, 16], 160)


def test_a_small_first_try_makes_a_new_store_and_says_so(tmp_path: Path, environment: dict[str, str]) -> None:
    # Eight samples are too few to train on or to calibrate with, and enough to look at.
    done = ritz("generate", SMALL, "--samples", "8", "--store", "new", "--json", cwd=tmp_path, env=environment)
    assert done.returncode == 0, done.stderr
    assert f"new store {tmp_path}/new\n" in done.stderr
    assert json.loads(done.stdout)["dataset"]["samples"] == 8


@pytest.mark.parametrize("name", ["out.nc", "out.H5", "out.zarr", "out"])
def test_the_name_of_an_export_says_its_format(name: str, tiny_store: TinyStore, tmp_path: Path) -> None:
    done = inside("export", "tiny", "--to", str(tmp_path / name), "--store", str(tiny_store[0]), "--json")
    assert done.returncode == 0, done.stderr
    form = {"nc": "netcdf", "H5": "hdf5"}.get(name.rpartition(".")[2], "zarr")
    assert json.loads(done.stdout)["format"] == form
    assert (tmp_path / name).is_dir() == (form == "zarr")


def test_the_home_is_meant_by_a_tilde(tiny_store: TinyStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "store").symlink_to(tiny_store[0])
    (tmp_path / "own.yaml").write_text(Path(TINY).read_text())
    monkeypatch.setenv("RITZ_STORE", "~/store")
    assert "has all samples" in inside("generate", "~/own.yaml").stderr
    assert inside("export", "tiny", "--to", "~/out.nc").returncode == 0
    assert (tmp_path / "out.nc").is_file()
    assert "tiny" in inside("datasets", "--store", "file://~/store").stdout


def test_the_fields_of_a_recipe_are_listed() -> None:
    done = inside("recipes", "darcy")
    assert done.returncode == 0
    lines = done.stdout.splitlines()
    assert max(map(len, lines)) <= 100
    row = next(index for index, line in enumerate(lines) if line.startswith("training.watermark "))
    assert " ".join(lines[row].split()) == "training.watermark 64 default 64; samples; whole number, ≥ 1, ≤ 1e+06"
    assert lines[row + 1].strip() == "Samples in the buffer when the normalisation is fixed and the first step done."
    paths = {line.split()[0] for line in lines if line and not line.startswith(" ")}
    assert {
        "problem.law.sigma",
        "data.splits.train",
        "surrogate.width",
        "schedule.cron",
        "training.stopping.patience",
    } <= paths
    assert "problem.law.high" not in paths
    assert "problem.law.high" in inside("recipes", "darcy", "--set", "problem.law.kind=two_phase").stdout


def test_every_field_is_listed_with_what_it_means() -> None:
    rows = json.loads(inside("recipes", "darcy", "--all", "--json").stdout)
    assert [row["path"] for row in rows if not row["meaning"]] == []
    by_kind = {(row["path"], row["kind"]): row for row in rows}
    assert by_kind["problem.law.high", "two_phase"]["default"] == 12.0
    assert by_kind["surrogate.heads", "transolver"]["limits"] == "whole number, ≥ 1, ≤ 256"
    assert by_kind["solver.restart", "recycled"]["unit"] == "vectors"
    assert by_kind["problem", ""]["kinds"][:2] == ["darcy", "poisson"]
    numbers = [row for row in rows if isinstance(row["default"], int | float) and not isinstance(row["default"], bool)]
    assert [row["path"] for row in numbers if not row["unit"]] == []


def test_what_is_listed_can_be_set() -> None:
    """Every value that the list shows is taken back as it is, and gives the same recipe."""
    for recipe in ("darcy", "heat", "acoustic"):
        rows = json.loads(inside("recipes", recipe, "--json").stdout)
        words = []
        for row in rows:
            if row["value"] is not None and not row["kinds"]:
                words += ["--set", f"{row['path']}={json.dumps(row['value'])}"]
        again = inside("recipes", recipe, *words, "--json")
        assert again.returncode == 0, again.stderr
        assert json.loads(again.stdout) == rows


READER = """
import contextlib, io, json, os, sys
from tests.command import inside

def all_of(store, folder):
    answers = {}
    for line in json.loads(sys.argv[3]):
        done = inside(*line.format(folder=folder).split(), "--store", store)
        answers[line] = [done.returncode, done.stderr]
    return answers

# Another user cannot read the interpreter's own files here: what the commands import is loaded before.
all_of(sys.argv[1], sys.argv[4])
os.setgroups([])
os.setgid(int(sys.argv[6]))
os.setuid(int(sys.argv[6]))
try:
    open(os.path.join(sys.argv[2], "probe"), "w")
    sys.exit("the store can be written")
except PermissionError:
    pass
print(json.dumps(all_of(sys.argv[2], sys.argv[5])))
sys.stdout.flush()
os._exit(0)
"""

READING = [
    "datasets",
    "models",
    "models tiny@v1",
    "runs",
    "show tiny@v1",
    "lineage tiny",
    "diff tiny@v1 tiny@v1",
    "layout tiny@v1",
    "export tiny@v1 --to {folder}/out.nc",
    "predict tiny@v1 --input {folder}/out.nc --output {folder}/u.nc",
    "gc",
    "gc --older-than 0",
    "generate tiny@v1",
    "run tiny@v1",
]


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """A folder that other users may enter: pytest closes its own to them, and again at the start of another session."""
    with TemporaryDirectory() as name:
        Path(name).chmod(0o755)
        yield Path(name)


def test_a_reader_needs_no_right_to_write(tiny_store: TinyStore, open_folder: Path) -> None:
    require("root")
    nobody = pwd.getpwnam("nobody").pw_uid
    theirs = copytree(tiny_store[0], open_folder / "theirs")
    before = {str(path): path.stat().st_mtime_ns for path in theirs.rglob("*")}
    warm, mine = open_folder / "warm", open_folder / "mine"
    warm.mkdir()
    mine.mkdir()
    os.chown(mine, nobody, nobody)
    arguments = (str(tiny_store[0]), str(theirs), json.dumps(READING), str(warm), str(mine), str(nobody))
    done = subprocess.run(
        [sys.executable, "-c", READER, *arguments],
        cwd=Path(__file__).parents[3],
        env={**os.environ, "HOME": str(mine), "WANDB_MODE": "disabled"},
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    answers = json.loads(done.stdout.splitlines()[-1])
    assert {line: said for line, (code, said) in answers.items() if code} == {}
    assert {str(path): path.stat().st_mtime_ns for path in theirs.rglob("*")} == before
