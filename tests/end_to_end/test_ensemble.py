"""A run with an ensemble: measured, predicted with, done again; killed while its members train, and gone on with."""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr

from ritz.compute.cluster.cluster import Cluster
from ritz.storage import models
from ritz.storage.reading import read
from ritz.storage.store import Store
from ritz.tasks.measuring.worker import load_model
from tests import attached
from tests.command import RITZ, SMALL, inside, printed, replayed, ritz, started

RECIPE = (SMALL, "--set", "data={samples: 80, shard: 8}")
ENSEMBLE = (
    *RECIPE,
    *("--set", "surrogate={kind: ensemble, size: 3, member: {kind: fno, modes: 4, width: 4, layers: 1}}"),
    *("--set", "uncertainty.spread=members"),
)
LONG = ("--set", "training.batches_per_sample=8")
SIZE = 3


pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory, cluster: Cluster, environment: dict[str, str]) -> Store:
    """The store of a run."""
    store = tmp_path_factory.mktemp("ensemble") / "store"
    printed("run", *ENSEMBLE, "--store", str(store), "--profile", attached.profile(cluster), env=environment)
    return Store(store)


@pytest.fixture(scope="module")
def killed(
    tmp_path_factory: pytest.TempPathFactory, environment: dict[str, str]
) -> tuple[Store, dict[str, Any], dict[Path, int]]:
    """The store of a run that was killed once, its record, and when the files of finished members were written."""
    store = tmp_path_factory.mktemp("ensemble") / "store"
    place = ("run", *ENSEMBLE, *LONG, "--store", str(store), "--json")
    with started(RITZ, *place, env=environment) as process:
        until = time.monotonic() + 200
        while not (finished := list(_summaries(store, "1"))) and process.poll() is None and time.monotonic() < until:
            time.sleep(0.05)
        assert finished, process.communicate()[1]
        os.killpg(process.pid, signal.SIGKILL)
    before = {path: path.stat().st_mtime_ns for number in ("0", "1") for path in _summaries(store, number)}
    assert len(before) == 2
    done = ritz(*place, env=environment)
    assert done.returncode == 0, done.stderr
    return Store(store), json.loads(done.stdout), before


def _summaries(store: Path, number: str) -> Iterator[Path]:
    return store.glob(f"fits/*/members/{number}/summary.json")


@pytest.mark.soak
def test_after_a_kill_it_goes_on_with_the_members_that_are_not_finished(
    killed: tuple[Store, dict[str, Any], dict[Path, int]],
) -> None:
    store, record, before = killed
    assert {path: path.stat().st_mtime_ns for path in before} == before
    assert record["status"] == "finished"
    card = models.load(store, "small@v1")[1]
    members = card["training"]["members"]
    assert [(one["seed"], one["batches"]) for one in members] == [(0, "stream"), (1, "version"), (2, "version")]
    assert len({one["steps"] for one in members}) == 1
    model, bands = load_model(store, "small@v1")
    assert record["model"]["parameters"] == model.size == card["training"]["parameters"]
    assert "standard deviation over 3 networks" in card["calibration"]["made"]
    data = read(store, "small@v1")
    test = data.isel(sample=np.flatnonzero(data["split"].values == "test")).load()
    inputs = {"a": test["a"].values}
    each, mean = model.members(inputs)["u"], model.predict(inputs)["u"]
    np.testing.assert_allclose(mean, each.mean(axis=0), rtol=1e-4, atol=1e-6)
    assert np.abs(each[0] - each[2]).max() > 1e-3 * np.abs(mean).max()
    assert bands is not None
    lower, upper = bands.interval(inputs, {"u": mean}, 0.5)
    inside_share = np.mean((lower["u"] <= test["u"].values) & (test["u"].values <= upper["u"]))
    assert record["coverage"]["0.5"]["measured"] == pytest.approx(inside_share, abs=1e-3)


def test_it_predicts_with_bands_is_shown_and_its_first_member_is_done_again(
    made: Store, tmp_path: Path, environment: dict[str, str]
) -> None:
    given, output = tmp_path / "a.nc", tmp_path / "u.nc"
    some = read(made, "small@v1")[["a"]].isel(sample=[0, 1]).load()
    some.drop_vars(["sample_id", "split"], errors="ignore").to_netcdf(given, engine="h5netcdf")
    done = inside("predict", "small@v1", "--input", str(given), "--output", str(output), "--store", made.url)
    assert done.returncode == 0, done.stderr
    with xr.open_dataset(output, engine="h5netcdf") as found:
        widths = [name for name in found.data_vars if name != "u"]
        assert widths
    shown = inside("show", "small@v1", "--store", made.url)
    assert "members:" in shown.stdout
    found_again = replayed(made.url, "small@v1", env=environment)
    assert (found_again["agrees"], found_again["equal"]) == (True, True)
    assert inside("audit", "small@v1", "--store", made.url).returncode == 0


@pytest.mark.soak
def test_by_itself_it_trains_on_a_published_version_and_the_last_layer_of_one_network_gives_bands(
    made: Store, cluster: Cluster, environment: dict[str, str]
) -> None:
    place = ("--dataset", "small@v1", "--store", made.url, "--profile", attached.profile(cluster))
    offline = ("--set", "training={kind: offline, epochs: 2}")
    trained = printed("train", *ENSEMBLE, *offline, *place, env=environment)
    assert [one["batches"] for one in trained["training"]["members"]] == ["version"] * SIZE
    network = (*RECIPE, "--set", "uncertainty.spread=laplace")
    alone = printed("train", *network, *offline, *place, env=environment)
    quantified = printed("quantify", alone["model"]["name"], *place, env=environment)
    assert 0 < quantified["coverage"]["0.5"]["measured"] < 1
    _, bands = load_model(made, "small@v3")
    assert bands is not None
