from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ritz.storage.committer import Committer
from ritz.storage.errors import Busy, Refused, StorageError
from ritz.storage.reading import resolve
from ritz.storage.store import Store
from ritz.tasks.checks import check_measuring, check_run, check_training
from ritz.tasks.documents.records import run_lock
from ritz.tasks.recipes import load
from ritz.tasks.requests.learning import Train
from tests.command import TINY

MEASURED = ("validate", "calibrate", "test")


@pytest.fixture
def store(tiny_store: tuple[Path, dict[str, Any]], tmp_path: Path) -> Store:
    """A copy of the store of a finished run, to add datasets to."""
    return Store(shutil.copytree(tiny_store[0], tmp_path / "store"))


@pytest.fixture
def begun(store: Store) -> Callable[..., str]:
    """Begin a dataset from the tiny recipe with changes, without a sample."""

    def begin(name: str, renamed: dict[str, str] | None = None, **changes: Any) -> str:
        pipeline = load(TINY, {"name": name, **{path.replace("__", "."): value for path, value in changes.items()}})
        ids = np.arange(pipeline.data.samples)
        Committer.ensure(
            store,
            name,
            pipeline.problem.template(len(ids)).rename(renamed or {}),
            identity=pipeline.dataset_identity,
            recipe=pipeline.document(),
            sample_id=ids,
            split=pipeline.data.splits.of(ids),
            shard=pipeline.data.shard,
            solvers=("direct",),
            attrs={"rtol": pipeline.data.rtol},
        )
        return f"{name}@head"

    return begin


def test_what_fits_passes(store: Store) -> None:
    check_run(load(TINY), store.url)
    check_training(Train(load(TINY), "tiny@v1").planned(store.url))
    check_measuring(store.url, "tiny@v1", resolve(store, "tiny@v1"), MEASURED)


def test_a_run_under_the_name_of_another_recipe_is_refused(store: Store) -> None:
    with pytest.raises(Refused, match="made by another recipe"):
        check_run(load(TINY, {"data.seed": 5}), store.url)


def test_a_run_of_a_recipe_that_runs_is_refused(store: Store) -> None:
    with store.lock(run_lock("tiny"), "run of 'tiny'"), pytest.raises(Busy, match=r"run of 'tiny'.*process"):
        check_run(load(TINY), store.url)


def test_a_run_of_a_dataset_that_is_written_is_refused(store: Store) -> None:
    with Committer.open(store, "tiny").lock(), pytest.raises(Busy, match="dataset 'tiny'"):
        check_run(load(TINY), store.url)


def test_a_surrogate_that_is_not_for_the_grid_is_refused(store: Store) -> None:
    plate = {"name": "plate", "problem": {"kind": "plate", "cells": 8}}
    with pytest.raises(Refused, match=r"problem 'plate', surrogate 'fno': .*nodes of a mesh: take 'fully_connected'"):
        check_run(load(TINY, plate), store.url, trains=True)
    # Solving needs no surrogate.
    check_run(load(TINY, plate), store.url)
    for surrogate in ("fully_connected", "transolver"):
        check_run(load(TINY, plate | {"surrogate": surrogate}), store.url, trains=True)


def test_means_and_scales_of_one_trajectory_with_its_own_parameter_are_refused(store: Store) -> None:
    winds = {
        "name": "winds",
        "problem": {"kind": "advection_diffusion", "shape": [16], "velocity_x": {"low": 0.5, "high": 1.5}},
        "training.watermark": 1,
    }
    with pytest.raises(Refused, match=r"training\.watermark is 1, expected 2 or more: the inputs \['velocity_x'\] are"):
        check_run(load(TINY, winds), store.url, trains=True)
    check_run(load(TINY, winds | {"training.watermark": 2}), store.url, trains=True)
    check_run(load(TINY, {"training.watermark": 1}), store.url, trains=True)


def test_bands_by_time_of_a_steady_problem_are_refused(store: Store) -> None:
    with pytest.raises(Refused, match=r"problem 'darcy': uncertainty\.per is 'time', expected 'sample'"):
        check_run(load(TINY, {"uncertainty.per": "time"}), store.url, trains=True)


def test_a_window_beyond_the_stored_times_is_refused(store: Store) -> None:
    late = {"uncertainty": {"kind": "conformal", "per": "time", "window": [0.5, 3.0]}}
    with pytest.raises(Refused, match=r"uncertainty\.window is \[0\.5, 3\], expected times within the stored ones"):
        check_run(load("burgers", late), store.url, trains=True)


def test_training_on_an_unfinished_dataset_is_refused(store: Store, begun: Callable[..., str]) -> None:
    with pytest.raises(Refused, match="holds 0 of 160 samples"):
        check_training(Train(load(TINY), begun("half")).planned(store.url))


def test_training_that_would_never_start_is_refused(store: Store) -> None:
    pipeline = load(TINY, {"data.samples": 320, "training.watermark": 100, "training.buffer.capacity": 100})
    with pytest.raises(Refused, match=r"training\.watermark = 100 is above the 96 training samples"):
        check_training(Train(pipeline, "tiny@v1").planned(store.url))


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"renamed": {"a": "permeability"}}, "variable 'a'"),
        ({"renamed": {"x": "easting"}}, "dimensions"),
        ({"data__splits": {"train": 11, "test": 4}}, "other splits"),
    ],
)
def test_measuring_on_what_does_not_fit_is_refused(
    store: Store, begun: Callable[..., str], changes: dict[str, Any], said: str
) -> None:
    with pytest.raises(Refused, match=said):
        check_measuring(store.url, "tiny@v1", resolve(store, begun("other", **changes)), MEASURED)


def test_measuring_on_an_empty_split_is_refused(store: Store) -> None:
    with pytest.raises(Refused, match="0 samples of the split 'steer'"):
        check_measuring(store.url, "tiny@v1", resolve(store, "tiny@v1"), ("steer",))


def test_the_same_problem_with_another_seed_can_be_measured_on(store: Store, begun: Callable[..., str]) -> None:
    check_measuring(
        store.url, "tiny", resolve(store, begun("fresh", data__seed=9, data__splits={"train": 11, "test": 4})), MEASURED
    )


def test_a_store_that_cannot_be_written_is_refused(store: Store, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError, match="file"):
        check_run(load(TINY), str(tmp_path / "file" / "store"))
