"""Files of somebody else, from `ritz import` to predictions, and what an audit says of them."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr
import yaml

from ritz.compute.cluster.cluster import Cluster
from ritz.compute.problems.darcy import Darcy
from ritz.compute.uncertainty.catalogue import USUAL
from ritz.storage.reading import read
from ritz.storage.store import Store
from ritz.tasks.checks import check_training
from ritz.tasks.documents.card import ModelVersion, Origin
from ritz.tasks.documents.dataset import DatasetVersion
from ritz.tasks.measuring.cost import cost
from ritz.tasks.measuring.evaluate import evaluate
from ritz.tasks.measuring.quantify import quantify
from ritz.tasks.prediction.predict import predict
from ritz.tasks.recipes import load
from ritz.tasks.requests.learning import Train
from ritz.tasks.training.replay import replay
from ritz.tasks.training.train import train
from ritz.tasks.training.worker import register
from tests import attached
from tests.command import inside, ritz
from tests.tasks.importing.mapped import imported

pytestmark = pytest.mark.slow

SCRIPT = Path(__file__).parents[2] / "benchmarks" / "published" / "darcy_files.py"
WRONG = 37
LAYOUTS = {"pdebench_darcy": "pdebench.h5", "the_well": "the_well_*.h5"}
SMALL = {
    "surrogate": {"kind": "fno", "modes": 6, "width": 8, "layers": 2},
    "training": {"kind": "offline", "epochs": 10, "batch_size": 8},
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Files of both layouts by an independent script, with a wrong sample, and what is said of them."""
    found = tmp_path_factory.mktemp("published")
    np.save(found / "a.npy", Darcy(shape=(16, 16)).draw(3, np.arange(160))["a"])
    options = (found, found / "a.npy", "--means", "arithmetic", "--wrong", str(WRONG))
    subprocess.run([sys.executable, str(SCRIPT), *map(str, options)], check=True)
    variables = {"a": {"role": "input", "transform": "log"}, "u": {"role": "output", "divide_by": "beta"}}
    for layout, files in LAYOUTS.items():
        document = {
            "name": layout, "files": files, "layout": layout, "symmetries": "square", "variables": variables,
            "about": {"licence": "CC-BY-4.0", "citation": "doi:10.18419/darus-2986"},
        }  # fmt: skip
        (found / f"{layout}.yaml").write_text(yaml.safe_dump(document))
    return found


def learnt(dataset: str, store: str, cluster: Cluster) -> dict[str, Any]:
    """Train the recipe of a dataset on it, as `ritz train` does, and return the model."""
    work = Train(load(dataset, SMALL, stages=(), store_url=store), dataset).planned(store)
    check_training(work)
    pipeline, version = work.pipeline, work.dataset
    source = DatasetVersion(name=version.name, version=version.version, snapshot=version.snapshot)
    trained = train.fn(
        pipeline,
        store,
        cluster,
        identity=pipeline.model_identity("offline", version.snapshot),
        dataset=version.name,
        version=version.version,
        shards=work.data.n_shards,
        samples=work.samples,
    )
    origin = Origin(
        name=pipeline.name, dataset=source, recipe=pipeline.document(), mode="offline", training=trained.summary
    )
    model: ModelVersion = cluster.call("train", register, store, trained.identity, pipeline.name, origin)
    return model.document()


@pytest.fixture(scope="module")
def done(folder: Path, cluster: Cluster, environment: dict[str, str]) -> dict[str, dict[str, Any]]:
    """What the commands printed, one after the other, on one store."""
    place = ("--store", str(folder / "store"), "--profile", attached.profile(cluster))

    def command(*arguments: str) -> dict[str, Any]:
        done = ritz(*arguments, "--json", *place, env=environment)
        assert done.returncode == 0, done.stderr
        made: dict[str, Any] = json.loads(done.stdout)
        return made

    # What each command does by itself is tested elsewhere: two are processes of their own, the others stages.
    spec, store = "pdebench_darcy@v1", str(folder / "store")
    found = {"the_well": imported(str(folder / "the_well.yaml"), folder / "store", cluster).document()}
    asked = ("audit", "the_well", "--as", "darcy", "--json", *place)
    with ThreadPoolExecutor(2) as pool:
        made = pool.submit(command, "import", str(folder / "pdebench_darcy.yaml"))
        audit = pool.submit(ritz, *asked, env=environment).result()
        found["pdebench_darcy"] = made.result()
    assert audit.returncode == 1, audit.stderr
    found["audit"] = json.loads(audit.stdout)
    found["train"] = learnt(spec, store, cluster)
    found["evaluate"] = evaluate.fn(store, cluster, spec, "the_well@v1").document()
    found["cost"] = cost.fn(store, cluster, spec, "the_well@v1").document()
    found["quantify"] = quantify.fn(store, cluster, spec, spec, USUAL).document()
    found["replay"] = replay.fn(store, cluster, spec).document()
    return found


def test_both_layouts_hold_the_same_samples(folder: Path, done: dict[str, Any]) -> None:
    one, other = (read(Store(folder / "store"), f"{layout}@v1").load().sortby("sample_id") for layout in LAYOUTS)
    assert done["the_well"]["files"] == 2
    assert done["the_well"]["dataset"]["splits"] == {"calibrate": 24, "test": 24, "train": 96, "validate": 16}
    for name in ("a", "u"):
        assert one[name].dims == ("sample", "y", "x")
        assert np.array_equal(one[name], other[name])
    assert np.array_equal(one["a"], np.load(folder / "a.npy"))
    assert one["x"].values == pytest.approx((np.arange(16) + 0.5) / 16, abs=1e-7)
    assert one.attrs["license"] == "CC-BY-4.0"


def test_another_discretisation_is_no_damage_and_the_wrong_sample_is_named(done: dict[str, Any]) -> None:
    record = done["audit"]
    assert (record["verdict"], record["samples"], record["problem"]["shape"]) == ("discretisation", 160, [16, 16])
    assert [one["sample"] for one in record["outliers"]] == [WRONG]
    assert record["error"]["median"] < record["grid"]
    assert "in another discretisation" in record["sentence"]


def test_it_is_learnt_from_and_measured_like_any_other(folder: Path, done: dict[str, Any]) -> None:
    assert done["train"] == {"name": "pdebench_darcy", "version": "v1"}
    evaluated = done["evaluate"]
    assert evaluated["metrics"]["relative_l2"]["mean"] < evaluated["baselines"]["mean"]["relative_l2"]["mean"]
    even = done["cost"]["break_even"]
    assert not even["measured"]
    assert "not solved by Ritz" in even["reason"]
    assert not evaluated["truth"]["labels"]["known"]
    assert evaluated["truth"]["rtol"] is None
    assert set(done["quantify"]["coverage"]) == {"0.5", "0.8", "0.9", "0.95"}
    assert done["replay"]["equal"]
    inputs = read(Store(folder / "store"), "the_well")[["a"]].isel(sample=slice(3)).load()
    inputs.drop_vars(["sample_id", "split"]).to_netcdf(folder / "a.nc", engine="h5netcdf")
    predict(str(folder / "store"), "pdebench_darcy", folder / "a.nc", folder / "u.nc")
    with xr.open_dataset(folder / "u.nc", engine="h5netcdf") as predicted:
        assert np.isfinite(predicted["u"].values).all()
        assert sum("_lower" in name for name in map(str, predicted.data_vars)) == 1


def test_it_is_found_by_lists_and_lineage_with_its_files_and_licence(folder: Path, done: dict[str, Any]) -> None:
    place = ("--store", str(folder / "store"))
    found = json.loads(inside("lineage", "pdebench_darcy", "--json", *place).stdout)
    imported = found["recipe"]["imported"]
    assert (imported["files"], imported["count"]) == (["pdebench.h5"], 1)
    assert found["recipe"]["about"]["licence"] == "CC-BY-4.0"
    assert found["versions"][0]["models"] == ["pdebench_darcy@v1"]
    listed = json.loads(inside("datasets", "--json", *place).stdout)
    assert {row["dataset"]: row["problem"] for row in listed} == dict.fromkeys(LAYOUTS, "external")
    again = inside("import", str(folder / "the_well.yaml"), *place)
    assert again.returncode == 0
    assert again.stderr == "nothing to do: the_well@v1 has all files\n"


@pytest.mark.parametrize(
    ("command", "said"),
    [
        (("regenerate", "the_well@v1", "--sample", "3"), "cannot be made again: its samples were not solved by Ritz"),
        (
            ("generate", "the_well@v1", "--samples", "320"),
            "problem.kind is 'external', expected one that can be solved",
        ),
        (("run", "the_well@v1"), "problem.kind is 'external', expected one that can be solved"),
        (("audit", "the_well", "--as", "dracy"), "there is no kind 'dracy', expected one of 'darcy'"),
        (("audit", "the_well", "--as", "external"), "expected a problem with equations|origin"),
        (("audit", "the_well", "--as", "poisson"), "dataset the_well@v1 has no input"),
        (("audit", "the_well", "--as", "{kind: darcy, shape: [8, 8]}"), "has the dimensions .* expected"),
        (("audit", "the_well", "--as", "{shape: [8, 8]}"), "the field `kind` is required"),
        (("audit", "the_well", "--samples", "20"), "--samples is 20 without --as"),
        (("quantify", "pdebench_darcy", "--dataset", "the_well", "--law", "{sigma: 2}"), "no law of which samples"),
    ],
    ids=lambda one: " ".join(one[:4]) if isinstance(one, tuple) else "",
)
def test_what_cannot_be_done_is_said_in_a_line(command: tuple[str, ...], said: str, folder: Path, done: object) -> None:
    found = inside(*command, "--store", str(folder / "store"))
    assert found.returncode == 2
    assert re.search(said, found.stderr), found.stderr
