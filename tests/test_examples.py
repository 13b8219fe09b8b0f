"""Examples in docstrings run."""

from __future__ import annotations

import doctest
import importlib
import shutil
from pathlib import Path

import pytest

from ritz.storage.committer import Committer
from ritz.storage.store import Store
from tests.older import unpacked
from tests.rooms import ROOMS
from tests.storage.fields import SHARDS, definition, fill

ROOT = Path(__file__).parents[1]

FILES = sorted(path for room in ROOMS for path in (ROOT / room).rglob("*.py") if ">>> " in path.read_text())


def test_they_are_found() -> None:
    assert len(FILES) > 10


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the examples run: a folder with a store that holds `made@v1`, and `small@v1` with its model; no run."""
    monkeypatch.chdir(tmp_path)
    (unpacked(tmp_path) / "store").rename("ritz-store")
    shutil.rmtree("ritz-store/runs")
    dataset = Committer.ensure(Store("ritz-store"), "made", **definition())
    fill(dataset, *range(SHARDS))
    dataset.publish("all")
    return tmp_path


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_examples_in_docstrings_run(path: Path, folder: Path) -> None:
    # By the import name: under another one each would be there twice.
    name = ".".join(("ritz", *path.relative_to(ROOT).with_suffix("").parts))
    results = doctest.testmod(importlib.import_module(name), optionflags=doctest.ELLIPSIS)
    assert results.attempted > 0
    assert results.failed == 0


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_no_example_takes_anything_from_the_tests(path: Path) -> None:
    lines = [line.strip() for line in path.read_text().splitlines()]
    taken = [line for line in lines if line.startswith((">>>", "...")) and "tests." in line]
    assert not taken
