"""A small dataset that is solved, committed and published without a cluster, and ways to damage it."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import icechunk
import numpy as np
import pytest
import zarr

from ritz.compute.problems.darcy import Darcy
from ritz.compute.problems.problem import Problem
from ritz.compute.simulation.simulate import ITSELF, simulate
from ritz.compute.solvers.catalogue import answering
from ritz.compute.solvers.solver import Solver
from ritz.storage import sealed
from ritz.storage.committer import Committer
from ritz.storage.integrity.objects import Snapshot
from ritz.storage.shards import write_shard
from ritz.storage.store import Store
from ritz.tasks.pipeline import Pipeline

NAME, SAMPLES, SHARD, SEED = "made", 40, 8, 3
FAILED = 7
"""The id of a sample that is recorded as failed."""


def pipeline(problem: Problem, solver: Solver | str = "direct") -> Pipeline:
    return Pipeline.model_validate(
        {
            "name": NAME,
            "problem": problem,
            "data": {"samples": SAMPLES, "shard": SHARD, "seed": SEED},
            "solver": solver,
            "training": {"kind": "online", "watermark": 8, "buffer": {"kind": "reservoir", "capacity": 8}},
            "uncertainty": {"kind": "conformal", "levels": [0.5]},
        }
    )


def small(problem: Problem) -> Problem:
    """Return the same problem on a grid that is solved at once."""
    given = problem.model_dump()
    changes: dict[str, Any] = {
        name: value for name, value in {"points": 16, "cells": 8, "steps": 4}.items() if name in given
    }
    if "steps" in given:
        # Steps as long as they were: longer ones may be refused, or be too long for what happens in them.
        changes["end"] = given["end"] * changes["steps"] / given["steps"]
    if "store_every" in given:
        changes["store_every"] = 1
    if "shape" in given:
        changes["shape"] = (8,) * len(given["shape"])
    return type(problem).model_validate(given | changes)


def make(folder: Path, problem: Problem | None = None, solver: Solver | str = "direct") -> Store:
    """Make and publish the dataset in a new store."""
    store, recipe = Store(folder), pipeline(problem or Darcy(shape=(8, 8)), solver)
    ids = np.random.default_rng(0).permutation(SAMPLES)
    dataset = Committer.ensure(
        store,
        NAME,
        recipe.problem.template(SAMPLES),
        identity=recipe.dataset_identity,
        recipe=recipe.document(),
        sample_id=ids,
        split=recipe.data.splits.of(ids),
        shard=SHARD,
        solvers=(*answering(recipe.solver), ITSELF),
        attrs={"rtol": recipe.data.rtol},
    )
    with dataset.lock():
        fork = dataset.fork()
        for index in range(SAMPLES // SHARD):
            here = ids[index * SHARD :][:SHARD]
            inputs = recipe.problem.draw(SEED, here)
            found, ledger = simulate(recipe.problem, inputs, recipe.solver, recipe.data.rtol)
            for row in np.flatnonzero(here == FAILED):
                ledger["status"][row], ledger["reason"][row] = "failed", "not_converged"
                for values in found.values():
                    values[row] = np.nan
            fields = inputs | {name: values.astype(np.float32) for name, values in found.items()}
            dataset.commit({index: (write_shard(fork, index, fields, ledger), ledger)})
        dataset.publish("all")
    return store


def position(store: Store, sample: int) -> int:
    ids, _ = Committer.open(store, NAME).index()
    return int(np.flatnonzero(ids == sample)[0])


def change(store: Store, name: str, where: object, value: Callable[[np.ndarray], Any] | float) -> None:
    """Change stored values, with valid checksums, and publish that as the next version."""
    repository = icechunk.Repository.open(icechunk.local_filesystem_storage(store.location(f"datasets/{NAME}")))
    before = repository.lookup_snapshot(repository.lookup_branch("main")).metadata
    session = repository.writable_session("main")
    array = zarr.open_group(session.store, mode="r+")[name]
    assert isinstance(array, zarr.Array)
    place: Any = where
    array[place] = value(np.asarray(array[place])) if callable(value) else value
    session.commit("changed", dict(before))
    Committer.open(store, NAME).publish("changed")


def object_of(store: Store, name: str, *place: int, version: str = "v1") -> str:
    """Return the file that holds a chunk."""
    key = f"datasets/{NAME}"
    repository = icechunk.Repository.open(icechunk.local_filesystem_storage(store.location(key)))
    contents = Snapshot.of(repository, repository.lookup_tag(version))
    return f"{key}/{contents.object_of(store, key, name, place)}"


def flip(store: Store, key: str, at: int, bit: int = 0) -> None:
    path = Path(store.location(key))
    data = bytearray(path.read_bytes())
    data[at] ^= 1 << bit
    path.write_bytes(data)


@contextmanager
def dying(monkeypatch: pytest.MonkeyPatch, file: str, times: int) -> Iterator[None]:
    """Let what is done inside end as by Ctrl-C when a file of this name has been written so many times."""
    write, count = Store.write, 0

    def written(self: Store, key: str, data: bytes) -> None:
        nonlocal count
        write(self, key, data)
        count += key.endswith(file)
        if count == times:
            raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(Store, "write", written)
        with pytest.raises(KeyboardInterrupt):
            yield


def unseal(model: Path) -> None:
    """Make the folder of a model what a release before digests wrote."""
    (model / sealed.SEAL).unlink()
    card = json.loads((model / "card.json").read_text())
    del card[sealed.DIGESTS]
    (model / "card.json").write_text(json.dumps(card))
