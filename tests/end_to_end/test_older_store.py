"""A store that Ritz 0.1.0 wrote before models had digests is as good as one of today: ``tests/data/store.tar.gz``."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import icechunk
import numpy as np
import pytest
import xarray as xr

from ritz.compute.cluster.cluster import Cluster
from ritz.tasks.pipeline import Pipeline
from tests import attached
from tests.command import SMALL, inside, printed, ritz
from tests.older import DATA, unpacked

DATASET = "small"
SAMPLES = 40


@pytest.fixture(scope="module")
def older(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder with the store, an input of its model and what that predicted; only to be read."""
    return unpacked(tmp_path_factory.mktemp("older"))


@pytest.mark.parametrize(
    ("command", "expected"),
    [(("datasets",), "small"), (("models",), "small"), (("runs",), "finished"), (("show", "small@v1"), "small")],
)
def test_is_listed_and_shown(older: Path, command: tuple[str, ...], expected: str) -> None:
    done = inside(*command, "--store", str(older / "store"), "--json")
    assert done.returncode == 0, done.stderr
    assert expected in done.stdout
    assert json.loads(done.stdout)


def test_its_finished_run_is_not_run_again(older: Path) -> None:
    [record] = [json.loads(file.read_text()) for file in (older / "store/runs").glob("*/record.json")]
    done = inside("run", SMALL, "--store", str(older / "store"), "--json")
    assert done.returncode == 0, done.stderr
    assert f"nothing to do: run {record['run']} has done all of it" in done.stderr
    said = json.loads(done.stdout)
    assert {key: said[key] for key in record if key != "paths"} == {
        key: record[key] for key in record if key != "paths"
    }
    done = inside("generate", SMALL, "--store", str(older / "store"))
    assert "nothing to do: small@v1 has all samples" in done.stderr


def test_its_finished_run_is_judged_by_another_gate_and_not_run_again(tmp_path: Path) -> None:
    store = unpacked(tmp_path) / "store"
    harder = ("run", SMALL, "--set", "gate.relative_l2=0.5", "--store", str(store), "--json")
    first = inside(*harder)
    assert first.returncode == 1
    assert "small@v1 is not released: mean relative L2" in first.stderr
    assert "nothing to do" in first.stderr
    model = json.loads(first.stdout)["model"]
    assert (model["release"], model["released"], len(model["missed"])) == ("missed", False, 1)
    [card] = json.loads(inside("models", "--store", str(store), "--json").stdout)
    assert (card["release"], card["released"]) == ("missed", False)
    again = inside(*harder)
    assert again.stderr.startswith("nothing to do")
    assert again.stdout == first.stdout
    back = inside("run", SMALL, "--store", str(store), "--json")
    assert (back.returncode, json.loads(back.stdout)["model"]["release"]) == (0, "not judged")


def test_its_model_predicts_the_same(older: Path, tmp_path: Path) -> None:
    output = tmp_path / "u.nc"
    arguments = ("--input", str(older / "a.nc"), "--output", str(output), "--store", str(older / "store"))
    done = inside("predict", "small@v1", *arguments)
    assert done.returncode == 0, done.stderr
    # Libraries round otherwise on another processor, and the older release did not record which it was.
    with xr.open_dataset(older / "u.nc") as before, xr.open_dataset(output) as now:
        for name in ("u", "u_lower", "u_upper"):
            rounding = 1e-6 * float(np.abs(before[name]).max())
            np.testing.assert_allclose(now[name].values, before[name].values, rtol=0, atol=rounding)


def test_is_audited_and_grown(tmp_path: Path, cluster: Cluster, environment: dict[str, str]) -> None:
    store = unpacked(tmp_path) / "store"
    place = ("--store", str(store), "--profile", attached.profile(cluster))
    before = values(store, "v1")
    printed("audit", "small@v1", *place, env=environment)
    # No recipe file is needed: the store knows what made it.
    grown = printed("generate", "small@v1", "--samples", "48", *place, env=environment)
    assert grown["dataset"]["version"] == "v2"
    assert grown["ledger"]["solved"] == 8
    after, longer = values(store, "v1"), values(store, "v2")
    np.testing.assert_array_equal(after["u"], before["u"])
    np.testing.assert_array_equal(longer["u"][:SAMPLES], before["u"])
    np.testing.assert_array_equal(longer["a"][:SAMPLES], before["a"])
    assert sorted(longer["sample_id"]) == list(range(48))
    assert (longer["status"] == 1).all()


@pytest.mark.soak
def test_its_bands_say_how_they_were_made_and_are_made_anew(tmp_path: Path, environment: dict[str, str]) -> None:
    store = unpacked(tmp_path) / "store"
    card = json.loads(inside("models", "small", "--store", str(store), "--json").stdout)
    assert card["calibration"]["made"] == (
        "The width of a band was learnt from inputs and prediction. "
        "An earlier release made them; `ritz quantify` makes them anew."
    )
    done = ritz("quantify", "small", "--dataset", "small", "--store", str(store), env=environment)
    assert done.returncode == 0, done.stderr
    path = store / "models/small/v1/calibration.html"
    assert done.stdout.splitlines()[-1] == f"page {path}"
    page = path.read_text(encoding="utf-8")
    assert "What is guaranteed, and what is not" in page
    assert "Least covered of 6 test samples" in page
    again = json.loads(inside("models", "small", "--store", str(store), "--json").stdout)["calibration"]
    assert "earlier release" not in again["made"]
    assert "by_zone" in again["coverage"]["0.5"]
    assert "by_zone" not in card["calibration"]["coverage"]["0.5"]


def values(store: Path, version: str) -> dict[str, Any]:
    """What a version holds, read as a stranger would."""
    repository = icechunk.Repository.open(icechunk.local_filesystem_storage(str(store / "datasets" / DATASET)))
    data = xr.open_zarr(repository.readonly_session(tag=version).store, consolidated=False, mask_and_scale=False)
    return {name: data[name].values for name in ("sample_id", "status", "a", "u")}


@pytest.mark.parametrize("name", list(json.loads((DATA / "identities.json").read_text())))
def test_identities_are_what_they_were(name: str) -> None:
    """Of every recipe that was shipped then: samples and models are found again by these."""
    before = json.loads((DATA / "identities.json").read_text())[name]
    pipeline = Pipeline.model_validate(before["recipe"])
    assert pipeline.identity == before["identity"]
    assert pipeline.dataset_identity == before["dataset"]
    assert pipeline.samples_identity == before["samples"]
    assert pipeline.model_identity(pipeline.training.kind, pipeline.samples_identity) == before["model"]
