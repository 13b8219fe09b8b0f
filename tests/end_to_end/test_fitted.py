"""A surrogate that is fitted at once is a model like any other: card, evaluation, bands, prediction, audit, replay."""

from __future__ import annotations

import io
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ritz.compute.cluster.cluster import Cluster
from ritz.storage import models
from ritz.storage.reading import read
from ritz.storage.store import Store
from ritz.tasks.measuring.worker import load_model
from tests import attached
from tests.command import SMALL, inside, printed, replayed

DATA = ("--set", "data={samples: 80, shard: 8}")
FITTED = (SMALL, *DATA, "--set", "surrogate=pca_ridge", "--set", "training=fit")
TRAIN = 48


@dataclass(frozen=True)
class Made:
    """What the commands printed, one after the other, on one store."""

    store: Store
    trained: dict[str, Any]
    evaluated: dict[str, Any]
    quantified: dict[str, Any]
    again: dict[str, Any]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory, cluster: Cluster, environment: dict[str, str]) -> Made:
    store = tmp_path_factory.mktemp("fitted") / "store"
    place = ("--store", str(store), "--profile", attached.profile(cluster))

    def command(*arguments: str) -> dict[str, Any]:
        return printed(*arguments, *place, env=environment)

    command("generate", SMALL, *DATA)
    return Made(
        Store(store),
        trained=command("train", *FITTED, "--dataset", "small@v1"),
        evaluated=command("evaluate", "small@v1", "--dataset", "small@v1"),
        quantified=command("quantify", "small@v1", "--dataset", "small@v1"),
        again=command("train", *FITTED, "--dataset", "small@v1"),
    )


def test_a_fit_is_one_step_that_names_all_samples(made: Made) -> None:
    files, card = models.load(made.store, "small@v1")
    assert made.trained["model"] == {"name": "small", "version": "v1"}
    assert card["recipe"]["surrogate"]["kind"] == "pca_ridge"
    assert card["recipe"]["training"]["kind"] == "fit"
    training = card["training"]
    assert (training["steps"], training["samples_received"], training["unseen"]) == (1, TRAIN, 0)
    assert training["parameters"] > 1000
    assert not training["any_grid"]
    [schedule] = np.load(io.BytesIO(files["schedule.npy"]))
    assert sorted(schedule.tolist()) == [sample for sample in range(80) if sample % 20 < 12]
    assert json.loads(files["history.json"])["curve"][0]["step"] == 1


def test_it_is_evaluated_and_quantified_as_others_are(made: Made) -> None:
    linear = made.evaluated["baselines"]["linear"]["relative_l2"]["mean"]
    # It is the baseline: the same regression, of the same samples in another order.
    assert made.evaluated["metrics"]["relative_l2"]["mean"] == pytest.approx(linear, rel=1e-3)
    model, bands = load_model(made.store, "small@v1")
    assert bands is not None
    assert bands.levels == (0.5,)
    assert 0 < made.quantified["coverage"]["0.5"]["measured"] < 1
    assert made.evaluated["cost"]["training"]["steps"] == 1
    data = read(made.store, "small@v1")
    test = data.isel(sample=np.flatnonzero(data["split"].values == "test")).load()
    wrong = np.linalg.norm(model.predict({"a": test["a"].values})["u"] - test["u"].values)
    assert wrong < np.linalg.norm(test["u"].values - test["u"].values.mean(axis=0))


def test_it_predicts_is_audited_and_done_again(made: Made, tmp_path: Path, environment: dict[str, str]) -> None:
    data = read(made.store, "small@v1")
    given, output = tmp_path / "a.nc", tmp_path / "u.nc"
    data[["a"]].isel(sample=[0, 1]).load().drop_vars(["sample_id", "split"], errors="ignore").to_netcdf(
        given, engine="h5netcdf"
    )
    place = ("--store", made.store.url)
    done = inside("predict", "small@v1", "--input", str(given), "--output", str(output), *place)
    assert done.returncode == 0, done.stderr
    assert output.exists()
    assert inside("audit", "small@v1", *place).returncode == 0
    found = replayed(made.store.url, "small@v1", env=environment)
    assert (found["agrees"], found["equal"], found["steps"]) == (True, True, 1)


def test_a_finished_fit_is_not_done_again(made: Made) -> None:
    assert made.again["model"] == made.trained["model"]
    assert made.again["training"] == made.trained["training"]
    assert models.load(made.store, "small")[1]["training"] == made.trained["training"]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (("surrogate=pca_ridge",), "training.kind is 'online' with the surrogate 'pca_ridge', expected 'fit'"),
        (("training=fit",), "training.kind is 'fit' with the surrogate 'fno', expected 'online' or 'offline'"),
    ],
)
def test_a_wrong_pair_is_refused_in_one_line(made: Made, changes: tuple[str, ...], message: str) -> None:
    options = [part for change in changes for part in ("--set", change)]
    done = inside("train", SMALL, *DATA, *options, "--dataset", "small@v1", "--store", made.store.url)
    assert done.returncode != 0
    assert message in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1


def test_a_run_refuses_it_in_one_line(made: Made) -> None:
    done = inside("run", *FITTED, "--store", made.store.url)
    assert done.returncode != 0
    assert "training.kind is 'fit', expected 'online': a run trains while it solves" in done.stderr
