from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr

from ritz.compute.cluster.cluster import Cluster
from ritz.storage.committer import Committer
from ritz.storage.datasets import Dataset
from ritz.storage.reading import read
from ritz.storage.store import Store
from tests import attached
from tests.command import SMALL, inside, printed

GROWING = (SMALL, "--set", "data.grow=16")
SAMPLES = 40


class Grown:
    """What a growing recipe has made in a store, and the records of its runs."""

    def __init__(self, store: Store, place: tuple[str, ...], environment: dict[str, str]) -> None:
        self.store, self.place, self.environment = store, place, environment
        self.records = [self.command("run", *GROWING)]
        self.first = read(store, "small@v1").load()
        self.records.append(self.command("run", *GROWING))

    def command(self, *arguments: str) -> dict[str, Any]:
        return printed(*arguments, *self.place, env=self.environment)


@pytest.fixture(scope="module")
def grown(tmp_path_factory: pytest.TempPathFactory, cluster: Cluster, environment: dict[str, str]) -> Grown:
    store = tmp_path_factory.mktemp("grown") / "store"
    return Grown(Store(store), ("--store", str(store), "--profile", attached.profile(cluster)), environment)


def test_every_run_adds_samples_publishes_and_trains(grown: Grown) -> None:
    first, second = grown.records
    assert (first["dataset"]["version"], first["dataset"]["samples"]) == ("v1", SAMPLES)
    assert (second["dataset"]["version"], second["dataset"]["samples"]) == ("v2", SAMPLES + 16)
    assert (second["model"]["version"], second["ledger"]["solved"], second["ledger"]["reused"]) == ("v2", 16, SAMPLES)
    assert second["recipe"]["data"]["samples"] == SAMPLES + 16


def test_growing_leaves_what_there_was_and_draws_new_ids(grown: Grown) -> None:
    assert read(grown.store, "small@v1").load().identical(grown.first)
    more = read(grown.store, "small@v2").load()
    np.testing.assert_array_equal(np.sort(more["sample_id"]), np.arange(SAMPLES + 16))
    assert more.isel(sample=slice(SAMPLES)).drop_attrs().identical(grown.first.drop_attrs())
    assert set(more["sample_id"].values[SAMPLES:]) == set(range(SAMPLES, SAMPLES + 16))


def test_a_dataset_that_was_grown_is_the_one_that_was_made_at_once(
    grown: Grown, tmp_path: Path, cluster: Cluster
) -> None:
    place = ("--store", str(tmp_path / "other"), *grown.place[2:])
    printed("generate", SMALL, "--samples", str(SAMPLES + 16), *place, env=grown.environment)
    made, at_once = read(grown.store, "small@v2"), read(Store(tmp_path / "other"), "small@v1")

    def by_id(data: xr.Dataset) -> xr.Dataset:
        return data.sortby("sample_id")[["a", "u", "status"]].load().drop_attrs()

    xr.testing.assert_identical(by_id(made), by_id(at_once))


def test_fewer_samples_are_those_of_a_version(grown: Grown) -> None:
    done = inside("run", SMALL, *grown.place[:2], "--json")
    assert json.loads(done.stdout)["run"] == grown.records[0]["run"]
    assert "nothing to do" in done.stderr
    again = grown.command("generate", SMALL)
    assert (again["dataset"]["version"], again["ledger"]["solved"]) == ("v1", 0)
    refused = inside("generate", SMALL, "--samples", "48", *grown.place[:2])
    assert refused.returncode == 2
    assert "has 56 samples, the recipe asks for 48; expected at least 56, or what a version holds: 40 (v1)" in (
        refused.stderr
    )


def test_a_version_from_before_can_be_trained_on_offline(grown: Grown) -> None:
    trained = grown.command("train", SMALL, "--dataset", "small@v1", "--set", "name=offline")
    assert (trained["dataset"]["version"], trained["training"]["samples_received"]) == ("v1", 24)


def test_a_growth_that_was_killed_is_ended_before_the_next(grown: Grown) -> None:
    # What a driver leaves that was killed right after it grew the dataset.
    dataset = Committer.open(grown.store, "small")
    ids = np.arange(SAMPLES + 16, SAMPLES + 32)
    with dataset.lock():
        dataset.grow(ids, np.array(["train"] * 16), dataset.recipe)
    record = grown.command("generate", *GROWING)
    assert (record["dataset"]["version"], record["dataset"]["samples"]) == ("v3", SAMPLES + 32)
    assert Dataset.open(grown.store, "small").progress()["to_go"] == 0
    assert grown.command("generate", *GROWING)["dataset"]["samples"] == SAMPLES + 48
