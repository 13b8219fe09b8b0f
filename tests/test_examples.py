"""Examples in docstrings run."""

from __future__ import annotations

import doctest
import importlib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]

ROOMS = ("compute", "deployments", "flows", "storage", "tasks")

FILES = sorted(path for room in ROOMS for path in (ROOT / room).rglob("*.py") if ">>> " in path.read_text())


def test_they_are_found() -> None:
    assert len(FILES) > 10


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_examples_in_docstrings_run(path: Path) -> None:
    # By the import name: under another one each would be there twice.
    name = ".".join(("ritz", *path.relative_to(ROOT).with_suffix("").parts))
    results = doctest.testmod(importlib.import_module(name))
    assert results.attempted > 0
    assert results.failed == 0


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_no_example_takes_anything_from_the_tests(path: Path) -> None:
    taken = [
        line for line in path.read_text().splitlines() if line.strip().startswith((">>>", "...")) and "tests" in line
    ]
    assert not taken
