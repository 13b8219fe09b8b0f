from __future__ import annotations

import math
import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from itertools import chain
from pathlib import Path

import numpy as np
import pytest

from ritz.storage.datasets import Dataset
from ritz.storage.listing import list_datasets
from ritz.storage.reading import read
from ritz.storage.store import Store
from tests.command import started
from tests.faults.conftest import ROOT
from tests.faults.writer import SHARDS, describe, fields
from tests.history import commits
from tests.storage.fields import SHARD, ledger

SHORTEST, LONGEST = 0.003, 0.5
"""Seconds a writer lives; a dataset takes about twice the longest, from its creation to its publishing."""


@pytest.fixture
def forked() -> Iterator[Callable[[Store, str, int, float | None], int]]:
    """Let a writer live for some seconds, or as long as it wants to, and return how it ended."""
    with started(sys.executable, "-m", "tests.faults.writer", cwd=ROOT, stdin=subprocess.PIPE, bufsize=1) as parent:
        assert parent.stdin is not None
        assert parent.stdout is not None
        orders, answers = parent.stdin, parent.stdout

        def fork(store: Store, name: str, seed: int, life: float | None) -> int:
            orders.write(f"{store.url} {name} {seed}\n")
            child = int(answers.readline())
            if life is not None:
                time.sleep(life)
                os.kill(child, signal.SIGKILL)
            return int(answers.readline())

        yield fork


@pytest.mark.parametrize("kills", [8, pytest.param(400, marks=[pytest.mark.soak, pytest.mark.timeout(1200)])])
def test_a_writer_killed_at_random_moments_leaves_whole_shards_only(tmp_path, forked, kills):
    store, moments, killed = Store(tmp_path), random.Random(kills), 0
    names, found = ["d0"], set[int]()
    while killed < kills:
        # Short lives are as frequent as long ones: they end in the creation, and in what comes first when one goes on.
        life = math.exp(moments.uniform(math.log(SHORTEST), math.log(LONGEST)))
        ended = forked(store, names[-1], moments.randrange(1000), life)
        assert ended in (-signal.SIGKILL, 0)
        killed += ended != 0
        found = check(store, names[-1], found, published=ended == 0 or None)
        if ended == 0:
            names, found = [*names, f"d{len(names)}"], set()
    assert forked(store, names[-1], 0, None) == 0
    for name in names:
        assert check(store, name, set(), published=True) == set(range(SHARDS))
    assert list_datasets(store) == sorted(names)


def check(store: Store, name: str, before: set[int], published: bool | None) -> set[int]:
    """Read a dataset as a stranger would, find whole shards and no others, and return which."""
    told = Path(store.location(f"{name}.told"))
    promised = [int(line) for line in told.read_text().split()] if told.exists() else []
    assert len(promised) == len(set(promised))
    if name not in list_datasets(store):
        assert not before.union(promised)
        assert not published
        return set()
    dataset = Dataset.open(store, name)
    committed = dataset.committed()
    # What a commit has answered for is there, and what was there is.
    assert before.union(promised) <= committed
    versions = [version.version for version in dataset.versions()]
    assert versions == ["v1"] if published else versions in ([], ["v1"])
    assert committed == set(range(SHARDS)) or not versions
    for version in ("head", *versions):
        compare(store, f"{name}@{version}", committed)
    history = commits(store, name)
    assert Counter(chain.from_iterable(history)) == dict.fromkeys(committed, 1)
    # The empty state, the layout, the shards; and a version that may still want its name.
    assert len(history) - len(committed) - 2 in ((1,) if versions else (0, 1))
    return committed


def compare(store: Store, spec: str, committed: set[int]) -> None:
    """Compare all that a version holds with what was written."""
    data = read(store, spec, ("ok", "failed", "absent")).load()
    there = np.repeat(np.isin(np.arange(SHARDS), list(committed)), SHARD)
    np.testing.assert_array_equal(data["sample_id"], describe()["sample_id"])
    np.testing.assert_array_equal(data["split"], describe()["split"])
    np.testing.assert_array_equal(data["status"], there)
    residual = np.concatenate([ledger(shard)["residual"] for shard in range(SHARDS)])
    np.testing.assert_array_equal(data["residual"], np.where(there, residual, np.nan))
    for name in ("a", "u"):
        written = np.concatenate([fields(shard)[name] for shard in range(SHARDS)])
        np.testing.assert_array_equal(data[name], np.where(there[:, None], written, np.nan))
