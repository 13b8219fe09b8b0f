from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import xarray as xr

from ritz.compute.cluster.cluster import Cluster
from ritz.compute.cluster.local import Local
from ritz.compute.cluster.profile import Role
from ritz.compute.solvers.iterative.recycled import Recycled
from ritz.storage.reading import read
from ritz.storage.store import Store
from ritz.tasks.generation.generate import generate
from ritz.tasks.recipes import load
from tests.command import TINY
from tests.faults.trapped import Trapped, solved
from tests.rooms import ROOMS


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("folder")


@pytest.fixture(scope="module")
def made(folder: Path, cluster: Cluster) -> xr.Dataset:
    """The tiny dataset from two workers in shards of 8."""
    return make(folder, cluster, shard=8)


def make(folder: Path, cluster: Cluster, shard: int) -> xr.Dataset:
    problem = Trapped(shape=(16, 16), folder=str(folder))
    tiny = load(TINY, {"data.shard": shard}).model_copy(update={"problem": problem, "solver": Recycled()})
    store = folder / f"store-{shard}"
    generate.fn(tiny, str(store), cluster)
    return read(Store(store), "tiny").load().sortby("sample_id")


def test_workers_and_shards_change_nothing(made: xr.Dataset, tmp_path: Path) -> None:
    with Local(solve=Role(count=1), train=Role(count=1)).open() as single:
        other = make(tmp_path, single, shard=16)
    np.testing.assert_array_equal(other["sample_id"], made["sample_id"])
    np.testing.assert_array_equal(other["split"], made["split"])
    np.testing.assert_array_equal(other["a"], made["a"])
    u, v = made["u"].values, other["u"].values
    assert (u != v).any(), "the shards carry different recycle spaces"
    assert (np.abs(u - v).max(axis=(1, 2)) <= 1e-6 * np.abs(u).max(axis=(1, 2))).all()


def test_train_workers_solve_nothing(made: xr.Dataset, folder: Path, cluster: Cluster) -> None:
    processes: dict[str, int] = cluster.client.run(os.getpid)
    known = cluster.known()
    solvers = {pid for address, pid in processes.items() if known[address]["resources"].get("solve")}
    assert set() < {pid for pid, _ in solved(folder)} <= solvers
    assert len(processes) == len(solvers) + 1


LOADED = """
import json, sys
from ritz.compute.cluster.local import Local
from ritz.compute.cluster.profile import Role
from ritz.tasks.generation.generate import generate
from ritz.tasks.recipes import load

recipe, store = sys.argv[1:]
with Local(solve=Role(count=2), train=Role(count=1)).open() as cluster:
    generate.fn(load(recipe, {"solver": "recycled"}), store, cluster)
    loaded, known = cluster.client.run(lambda: sorted(sys.modules)), cluster.known()
    print(json.dumps([[sorted(known[address]["resources"]), modules] for address, modules in loaded.items()]))
"""


def test_solve_workers_load_neither_prefect_nor_torch(tmp_path: Path) -> None:
    # In a process of its own: the workers of this one start with what training needs, too.
    command = [sys.executable, "-c", LOADED, str(TINY), str(tmp_path / "store")]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    loaded = [(roles, set(modules)) for roles, modules in json.loads(done.stdout)]
    solvers = [modules for roles, modules in loaded if "solve" in roles]
    assert len(solvers) == 2
    for modules in solvers:
        assert "ritz.compute.solvers.iterative.recycled" in modules
        assert not modules & {"prefect", "torch", "neuralop", "sklearn", "matplotlib"}
    for _, modules in loaded:
        assert not modules & set(ROOMS), "a room under its bare name"
