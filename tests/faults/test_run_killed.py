from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import time
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

import numpy as np
import psutil
import pytest
import xarray as xr

from ritz.compute.cluster.cluster import Cluster
from ritz.storage.datasets import Dataset
from ritz.storage.listing import list_datasets
from ritz.storage.reading import read
from ritz.storage.store import Store
from ritz.tasks.generation.generate import generate as make
from ritz.tasks.recipes import load
from tests.command import RITZ, TINY, ritz, started
from tests.faults.processes import forks, in_group
from tests.history import commits

SAMPLES, SHARD = 640, 8
SHARDS = SAMPLES // SHARD

CHANGES = {"data.samples": SAMPLES, "solver": {"kind": "direct", "library": "superlu"}}
"""To the recipe; one solver, because bits are compared and `auto` may choose otherwise next time."""

EARLY = 0.3
"""Share of the kills before anything is solved: start-up, and the creation of the dataset."""

LEDGER = ("status", "reason", "residual", "iterations", "matvecs", "solver")
"""What two runs must agree on; times differ."""


START = 6.0
"""Seconds that a command takes about until it solves."""


@dataclass(frozen=True)
class Undisturbed:
    """What a generation made that nobody killed, by sample id, and how many seconds it took."""

    samples: xr.Dataset
    seconds: float


def command(name: str, store: Store) -> tuple[str, ...]:
    """Arguments of ``ritz``."""
    changes = (word for path, value in CHANGES.items() for word in ("--set", f"{path}={json.dumps(value)}"))
    return name, TINY, *changes, "--store", store.url, "--json"


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory, cluster: Cluster) -> Undisturbed:
    store = Store(tmp_path_factory.mktemp("undisturbed"))
    generated = make.fn(load(TINY, CHANGES), store.url, cluster)
    return Undisturbed(by_id(store, "tiny"), generated.seconds)


@pytest.mark.soak
@pytest.mark.timeout(3600)
@pytest.mark.parametrize(
    ("kills", "commands"),
    [
        pytest.param(2, ("generate",), id="2"),
        pytest.param(100, ("generate", "generate", "run"), id="100"),
    ],
)
def test_a_run_killed_at_random_moments_loses_and_doubles_nothing(tmp_path, undisturbed, kills, commands):
    """The whole process group is killed, and single Dask workers before; then the same command goes on."""
    moments, killed, places = random.Random(kills), 0, [Store(tmp_path / "0")]
    found: set[int] = set()
    while killed < kills:
        arguments = command(moments.choice(commands), places[-1])
        if moments.random() < EARLY:
            ended = disturbed(arguments, False, moments.uniform(0, START), (), moments)
        else:
            workers_at = [moments.uniform(0, undisturbed.seconds) for _ in range(moments.randint(0, 2))]
            ended = disturbed(arguments, True, moments.uniform(0, undisturbed.seconds), workers_at, moments)
        assert ended in (-signal.SIGKILL, 0)
        killed += ended != 0
        found = check(places[-1], undisturbed.samples, found)
        if ended == 0:
            complete(places[-1], undisturbed.samples)
            places, found = [*places, Store(tmp_path / str(len(places)))], set()
    # What was killed last has to come to its end as well, whatever it is.
    done = ritz(*command(commands[-1], places[-1]))
    assert done.returncode == 0, done.stderr
    ledger = json.loads(done.stdout)["ledger"]
    assert ledger["reused"] == SHARD * len(found)
    assert ledger["solved"] == SAMPLES - ledger["reused"]
    complete(places[-1], undisturbed.samples)


def disturbed(
    arguments: tuple[str, ...], solving: bool, life: float, workers_at: Sequence[float], chosen: random.Random
) -> int:
    """Let a command live for some seconds, from its start or from when it solves, and return how it ended.

    Single workers are killed at their moments, if they come before the end; at the end the whole process group.
    """
    with started(RITZ, *arguments, stdout=subprocess.DEVNULL) as driver:
        if solving and not wait_for_solving(driver):
            return driver.wait()
        begun = time.monotonic()
        for moment in (*sorted(one for one in workers_at if one < life), life):
            with suppress(subprocess.TimeoutExpired):
                return driver.wait(max(0.0, begun + moment - time.monotonic()))
            if moment < life:
                kill_a_worker(driver.pid, chosen)
        os.killpg(driver.pid, signal.SIGKILL)
        driver.wait()
        while in_group(driver.pid):
            time.sleep(0.01)
        return -signal.SIGKILL


def wait_for_solving(driver: subprocess.Popen[str]) -> bool:
    """Wait until a driver has its solver, and return whether it ever had; what it says later fits into the pipe."""
    assert driver.stderr is not None
    return any("solver: " in line for line in driver.stderr)


def kill_a_worker(driver: int, chosen: random.Random) -> None:
    """Kill one of the driver's Dask workers, if it has any yet."""
    found = forks(psutil.Process(driver))
    if found:
        with suppress(psutil.NoSuchProcess):
            chosen.choice(found).kill()


def by_id(store: Store, spec: str) -> xr.Dataset:
    """All that a version holds, by sample id."""
    data = read(store, spec, ("ok", "failed", "absent"))
    return data.load().sortby("sample_id")


def check(store: Store, expected: xr.Dataset, before: set[int]) -> set[int]:
    """Read the dataset as a stranger would, find whole shards and no others, and return which."""
    if "tiny" not in list_datasets(store):
        assert not before
        return set()
    dataset = Dataset.open(store, "tiny")
    committed = dataset.committed()
    assert before <= committed
    ids, _ = dataset.index()
    there = np.isin(np.sort(ids), ids.reshape(SHARDS, SHARD)[sorted(committed)])
    data = by_id(store, "tiny@head")
    np.testing.assert_array_equal(data["sample_id"], np.arange(SAMPLES))
    np.testing.assert_array_equal(data["split"], expected["split"])
    for name in LEDGER:
        absent = np.nan if name == "residual" else 0
        np.testing.assert_array_equal(data[name], np.where(there, expected[name], absent), err_msg=name)
    for name in ("a", "u"):
        wanted = np.where(there[:, None, None], expected[name], np.float32(np.nan))
        np.testing.assert_array_equal(data[name], wanted, err_msg=name)
    assert Counter(chain.from_iterable(commits(store, "tiny"))) == dict.fromkeys(committed, 1)
    return committed


def complete(store: Store, expected: xr.Dataset) -> None:
    """Find every sample once, in a version."""
    assert check(store, expected, set()) == set(range(SHARDS))
    assert Dataset.open(store, "tiny").progress() == {"done": SAMPLES, "failed": 0, "to_go": 0}
    assert [version.version for version in Dataset.open(store, "tiny").versions()] == ["v1"]
    assert by_id(store, "tiny@v1").identical(by_id(store, "tiny@head"))
    assert sorted(Path(store.location("datasets")).glob("*")) == sorted(
        Path(store.location(f"datasets/{name}")) for name in ("tiny", ".tiny.lock")
    )
