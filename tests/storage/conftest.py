from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from ritz.storage.committer import Committer
from ritz.storage.store import Store
from tests.storage.fields import definition

ROOT = Path(__file__).parents[2]


@pytest.fixture
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Store:
    """An empty store in a folder; in a bucket for tests that are marked `tests.storage.fields.in_both`."""
    if getattr(request, "param", "folder") == "bucket":
        return Store(request.getfixturevalue("bucket"))
    return Store(tmp_path / "store")


@pytest.fixture
def dataset(store: Store) -> Committer:
    return Committer.ensure(store, "made", **definition())


@pytest.fixture
def start() -> Iterator[Callable[..., subprocess.Popen]]:
    """Start ``tests.storage.fields`` as a process of its own; what still runs at the end is killed."""
    processes = []

    def start_one(*arguments: object) -> subprocess.Popen:
        command = [sys.executable, "-W", "error", "-m", "tests.storage.fields", *map(str, arguments)]
        process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        processes.append(process)
        return process

    yield start_one
    for process in processes:
        process.kill()
        process.communicate()
