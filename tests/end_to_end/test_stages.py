from __future__ import annotations

import io
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr
from prefect.client.orchestration import get_client
from prefect.client.schemas.filters import ArtifactFilter, ArtifactFilterKey

from ritz.compute.cluster.cluster import Cluster
from ritz.storage import models
from ritz.storage.listing import list_datasets
from ritz.storage.reading import read
from ritz.storage.store import Store
from ritz.tasks.documents import of_model
from ritz.tasks.documents.law_calibration import laws
from ritz.tasks.measuring.worker import load_model
from ritz.tasks.prediction.predict import predict
from ritz.tasks.report.wording import number
from tests import attached
from tests.command import TINY, inside, printed
from tests.end_to_end.test_data import check_residuals, check_solutions
from tests.served import client_of

RECYCLED = (
    "darcy-recycled",
    *("--set", "problem.shape=[16, 16]"),
    *("--set", "gate={baselines: false}"),
    *("--set", "data={samples: 160, shard: 8, seed: 1}"),
    *("--set", "surrogate={kind: fno, modes: 6, width: 8, layers: 2}"),
    *(
        "--set",
        "training={kind: online, watermark: 16, buffer: {kind: reservoir, capacity: 24}, batches_per_sample: 1}",
    ),
)
"""The shipped recipe whose solver is recycling, small."""


@dataclass(frozen=True)
class Staged:
    """What the stages printed, one after the other, on one store."""

    store: Store
    generated: dict[str, Any]
    trained: dict[str, Any]
    evaluated: dict[str, Any]
    quantified: dict[str, Any]
    recalibrated: dict[str, Any]
    ran: dict[str, Any]


@pytest.fixture(scope="module")
def staged(tmp_path_factory: pytest.TempPathFactory, cluster: Cluster, environment: dict[str, str]) -> Staged:
    store = tmp_path_factory.mktemp("staged") / "store"
    place = ("--store", str(store), "--profile", attached.profile(cluster))

    def command(*arguments: str) -> dict[str, Any]:
        return printed(*arguments, *place, env=environment)

    return Staged(
        Store(store),
        generated=command("generate", *RECYCLED),
        trained=command("train", TINY, "--dataset", "darcy-recycled@v1"),
        evaluated=command("evaluate", "tiny", "--dataset", "darcy-recycled"),
        quantified=command("quantify", "tiny@v1", "--dataset", "darcy-recycled@v1"),
        recalibrated=command(
            *("quantify", "tiny@v1", "--dataset", "darcy-recycled@v1", "--law", "{tau: 6.0}", "--solves", "20")
        ),
        ran=command("run", *RECYCLED),
    )


def test_a_recipe_that_names_recycling_is_solved_by_it(staged: Staged) -> None:
    assert list_datasets(staged.store) == ["darcy-recycled"]
    assert staged.generated["dataset"]["samples"] == 160
    ledger = staged.generated["ledger"]
    assert ledger["solvers"] == {"recycled": 160}
    assert 1e-13 < ledger["max_residual"] <= 1e-8
    data = read(staged.store, "darcy-recycled@v1").load()
    assert (data["iterations"].values > 1).all()
    check_residuals(data)
    check_solutions(data)


def test_a_model_is_trained_offline_on_a_dataset_of_another_recipe(staged: Staged) -> None:
    assert staged.trained["model"] == {"name": "tiny", "version": "v1"}
    assert staged.trained["dataset"]["name"] == "darcy-recycled"
    assert staged.trained["dataset"]["snapshot"] == staged.generated["dataset"]["snapshot"]
    files, card = models.load(staged.store, "tiny@v1")
    assert (card["mode"], card["training"]["steps"], card["training"]["samples_received"]) == ("offline", 96, 96)
    schedule = np.load(io.BytesIO(files["schedule.npy"]))
    assert schedule.shape == (96, 8)
    assert set(schedule.ravel() % 20) <= set(range(12))


def test_it_is_evaluated_and_quantified_there(staged: Staged) -> None:
    assert staged.evaluated["dataset"] == staged.quantified["dataset"] == "darcy-recycled@v1"
    model, bands = load_model(staged.store, "tiny@v1")
    data = read(staged.store, "darcy-recycled@v1")
    test = data.isel(sample=np.flatnonzero(data["sample_id"].values % 20 >= 17)).load()
    wrong = model.predict({"a": test["a"].values})["u"] - test["u"].values
    relative = np.linalg.norm(wrong, axis=(1, 2)) / np.linalg.norm(test["u"].values, axis=(1, 2))
    assert staged.evaluated["metrics"]["relative_l2"]["mean"] == pytest.approx(relative.mean(), rel=1e-4)
    assert relative.mean() < staged.evaluated["baselines"]["mean"]["relative_l2"]["mean"]
    assert bands is not None
    for level, row in staged.quantified["coverage"].items():
        assert row["measured"] == pytest.approx(float(level), abs=0.15)


def test_bands_for_another_law_lie_beside_those_of_the_model(staged: Staged) -> None:
    found = staged.recalibrated
    assert (found["model"], found["law"]) == ({"name": "tiny", "version": "v1"}, "tau-6")
    assert (found["samples"], found["before"]["samples"], found["after"]["samples"]) == (20, 170, 150)
    assert found["after"]["coverage"]["0.9"]["measured"] == pytest.approx(0.9, abs=0.08)
    assert of_model.calibration(staged.store, "tiny@v1") is not None
    kept = laws(staged.store, "tiny@v1")
    assert {law: one.document() for law, one in kept.items()} == {
        "tau-6": {key: value for key, value in found.items() if key != "model"}
    }


def test_they_write_pages_beside_the_model(staged: Staged) -> None:
    folder = Path(staged.store.url) / "models/tiny/v1"
    said = {"evaluation": staged.evaluated, "calibration": staged.quantified}
    words = {
        "evaluation": ("Errors on the test split", "Worst samples", "Errors of the truth itself", "When the surrogate"),
        "calibration": ("Error bars", "What is guaranteed, and what is not", "Coverage by cell", "A cut through"),
    }
    for stage, result in said.items():
        assert result["page"] == str(folder / f"{stage}.html")
        page = Path(result["page"]).read_text(encoding="utf-8")
        assert f"tiny – Ritz {stage}" in page
        assert "not measured in this run" not in page
        assert "The model was trained by itself, on darcy-recycled@v1." in page
        assert all(text in page for text in words[stage]), stage
        assert not [text for text in words[({*said} - {stage}).pop()] if f">{text}" in page], stage
        assert models.read_file(staged.store, "tiny@v1", f"{stage}.html") == page.encode()
    # The error of the grid that `ritz evaluate` has measured stands beside the bands.
    finer = staged.evaluated["truth"]["discretisation"]["mean"]
    assert f"relative L2 distance to a grid twice as fine is {number(finer)} in the mean" in page


def test_prefect_shows_their_tables(staged: Staged, environment: dict[str, str]) -> None:
    keys = ["ritz-tiny-calibration", "ritz-tiny-evaluation"]
    with client_of(environment), get_client(sync_client=True) as client:
        found = client.read_artifacts(artifact_filter=ArtifactFilter(key=ArtifactFilterKey(any_=keys)))
    calibration, evaluation = sorted(found, key=lambda artifact: str(artifact.key))
    assert calibration.type == evaluation.type == "table"
    assert json.loads(str(calibration.data))[2]["nominal"] == "90%"
    assert json.loads(str(evaluation.data))[0]["error"] == "relative L2"
    assert calibration.description == f"Calibration of tiny@v1; page: {staged.quantified['page']}"


def test_a_run_takes_what_the_generate_stage_made(staged: Staged) -> None:
    ledger = staged.ran["ledger"]
    assert (ledger["solved"], ledger["reused"]) == (0, 160)
    assert staged.ran["dataset"]["snapshot"] == staged.generated["dataset"]["snapshot"]
    assert staged.ran["panel"] == staged.generated["panel"] != []
    assert staged.ran["times"]["last_shard"] is None
    assert staged.ran["model"]["name"] == "darcy-recycled"
    assert models.read_card(staged.store, "darcy-recycled@v1")["mode"] == "online"


def test_a_complete_dataset_needs_no_workers(staged: Staged) -> None:
    again = inside("generate", *RECYCLED, "--store", staged.store.url, "--json")
    assert again.returncode == 0, again.stderr
    assert again.stderr == "nothing to do: darcy-recycled@v1 has all samples\n"
    told = json.loads(again.stdout)
    assert told["ledger"] == staged.generated["ledger"] | {"solved": 0, "reused": 160}
    for part in ("dataset", "choice", "panel"):
        assert told[part] == staged.generated[part]
    assert told["last_shard"] is None


def test_predictions_come_with_bands(staged: Staged, tmp_path: Path) -> None:
    data = read(staged.store, "darcy-recycled@v1").load()
    test = data.isel(sample=np.flatnonzero(data["split"].values == "test"))
    inputs = test[["a"]].drop_vars([name for name in test.coords if name not in ("x", "y")])
    inputs.to_netcdf(tmp_path / "a.nc", engine="h5netcdf")
    arguments = ("--input", str(tmp_path / "a.nc"), "--output", str(tmp_path / "u.nc"))
    done = inside("predict", "tiny", *arguments, "--store", staged.store.url, "--json")
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert (told["model"], told["samples"], told["levels"]) == ("tiny@v1", 24, [0.5, 0.8, 0.9, 0.95])
    with xr.open_dataset(tmp_path / "u.nc", engine="h5netcdf") as opened:
        predicted = opened.load()
    model, _ = load_model(staged.store, "tiny@v1")
    np.testing.assert_allclose(predicted["u"], model.predict({"a": test["a"].values})["u"], rtol=1e-5, atol=1e-7)
    np.testing.assert_array_equal(predicted["x"], test["x"])
    lower, upper = predicted["u_lower"], predicted["u_upper"]
    assert lower.dims == ("level", "sample", "y", "x")
    assert ((lower <= predicted["u_corrected"]) & (predicted["u_corrected"] <= upper)).all()
    assert (upper.diff("level") >= 0).all()
    assert (lower.diff("level") <= 0).all()
    within = ((lower.values <= test["u"].values) & (test["u"].values <= upper.values)).mean(axis=(1, 2, 3))
    wanted = [staged.quantified["coverage"][str(level)]["measured"] for level in predicted["level"].values]
    np.testing.assert_allclose(within, wanted, atol=1e-3)

    inputs.to_zarr(tmp_path / "a.zarr", consolidated=False)
    predict(staged.store.url, "tiny@v1", tmp_path / "a.zarr", tmp_path / "u.zarr")
    with xr.open_zarr(tmp_path / "u.zarr", consolidated=False) as opened:
        xr.testing.assert_allclose(opened.load(), predicted, rtol=1e-5, atol=1e-7)


def test_one_sample_needs_no_sample_dimension(staged: Staged, tmp_path: Path) -> None:
    one = read(staged.store, "darcy-recycled@v1")[["a"]].isel(sample=0).load()
    one.drop_vars([name for name in one.coords if name not in ("x", "y")]).to_netcdf(tmp_path / "a.nc")
    told = predict(staged.store.url, "tiny", tmp_path / "a.nc", tmp_path / "u.nc")
    assert told.samples == 1
    with xr.open_dataset(tmp_path / "u.nc") as predicted:
        assert predicted["u"].shape == (1, 16, 16)
