"""Exports of every recipe and predictions against the CF and UGRID conventions.

The attributes are looked at here; `compliance-checker`, which pins other versions than this environment, looks at the
same files where it is on the path: `make conventions`.
"""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import xarray as xr

from ritz.storage.export import export
from ritz.storage.files import read_file
from ritz.storage.reading import read
from ritz.storage.store import Store
from ritz.tasks.prediction.predict import predict
from ritz.tasks.recipes import load, names
from tests.require import require
from tests.tasks.made import make, small

FALSE_ALARMS = (
    # CF-1.11 has the mesh topology variables of UGRID (5.9), which are marked by this role; the checker knows the roles
    # of discrete samplings alone.
    "mesh_topology is not a valid cf_role value. It must be one of timeseries_id, profile_id, trajectory_id",
    # The checker asks it of every dimension of this name; CF has that standard name for times that count from a date.
    "Coordinate variable 'time' should have standard_name='time', found: 'None'",
)
"""What version 6.1 of the checker finds where the conventions are kept."""


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A NetCDF file of every recipe's dataset, on a small grid."""
    folder, files = tmp_path_factory.mktemp("exported"), {}
    for recipe in names():
        store = make(folder / recipe, small(load(recipe).problem))
        files[recipe] = folder / f"{recipe}.nc"
        export(store, "made@v1", files[recipe], "netcdf", only_ok=True)
    return files


@pytest.fixture(scope="module")
def predicted(tmp_path_factory: pytest.TempPathFactory, tiny_store: tuple[Path, dict[str, Any]]) -> Path:
    """A NetCDF file of predictions with bands."""
    folder = tmp_path_factory.mktemp("predicted")
    inputs = read(Store(tiny_store[0]), "tiny")[["a"]].isel(sample=slice(3)).load()
    inputs.drop_vars("split").to_netcdf(folder / "in.nc", engine="h5netcdf")
    predict(str(tiny_store[0]), "tiny", folder / "in.nc", folder / "out.nc")
    return folder / "out.nc"


def _attributes(path: Path) -> tuple[dict[str, Any], dict[str, dict[str, Any]]]:
    """Return the global attributes and those of every variable as they are in the file."""
    with h5py.File(path) as file:
        return dict(file.attrs), {name: dict(one.attrs) for name, one in file.items()}


def _check(path: Path) -> None:
    about, variables = _attributes(path)
    assert about["title"]
    assert about["source"].startswith("ritz ")
    assert "CF-1.11" in about["Conventions"]
    with h5py.File(path) as file:
        fields = {name for name, one in file.items() if "sample" in _dims(file, one)}
    for name, attrs in variables.items():
        assert "_FillValue" not in attrs or name in fields
        assert not isinstance(attrs.get("_FillValue"), str | bytes)
        assert attrs.get("axis") != "T" or " since " in attrs["units"]
        for key in ("ancillary_variables", "coordinates"):
            assert set(str(attrs.get(key, "")).split()) <= set(variables), (name, key)


def _dims(file: h5py.File, variable: h5py.Dataset) -> Iterator[str]:
    for scales in variable.dims:
        yield from (scale.name.lstrip("/") for scale in scales.values())


@pytest.mark.parametrize("recipe", names())
def test_an_export_names_what_is_in_it_and_no_more(recipe: str, exported: dict[str, Path]) -> None:
    _check(exported[recipe])
    with xr.open_dataset(exported[recipe], engine="h5netcdf") as found:
        assert {"sample_id", "split"} <= set(found.coords)
        assert set(found.data_vars) >= {"status", "residual"}
        assert "mesh" not in found.data_vars


def test_a_mesh_has_its_topology(exported: dict[str, Path]) -> None:
    about, variables = _attributes(exported["plate"])
    assert about["Conventions"] == "CF-1.11 UGRID-1.0"
    (name,) = (name for name, attrs in variables.items() if attrs.get("cf_role") == "mesh_topology")
    topology = variables[name]
    assert topology["topology_dimension"] == 2
    with h5py.File(exported["plate"]) as file:
        nodes = {len(file[node]) for node in topology["node_coordinates"].split()}
        faces = file[topology["face_node_connectivity"]]
        assert faces.shape[1] == 3
        assert faces.attrs["start_index"] == faces[:].min() == 0
        assert {faces[:].max() + 1} == nodes == {file["T"].shape[1]}
    assert (variables["T"]["mesh"], variables["T"]["location"]) == (name, "node")
    assert "mesh" not in variables["level"]


def test_predictions_name_what_is_in_them_and_keep_the_labels_of_samples(predicted: Path) -> None:
    _check(predicted)
    found = read_file(predicted)
    assert found["sample_id"].dims == ("sample",)
    assert len(np.unique(found["sample_id"])) == 3
    assert set(found["u"].attrs["ancillary_variables"].split()) == {
        "u_lower",
        "u_upper",
        "u_corrected",
        "estimated_error",
        "estimate_doubtful",
        "estimate_far",
        "input_outside",
        "input_score",
        "input_p",
    }


def test_a_checker_finds_nothing(exported: dict[str, Path], predicted: Path, tmp_path: Path) -> None:
    require("compliance-checker")
    files = [*exported.values(), predicted]
    command = ["compliance-checker", "--test=cf:1.11", "--format=json_new", f"--output={tmp_path / 'found.json'}"]
    done = subprocess.run([*command, *map(str, files)], capture_output=True, text=True, timeout=240)
    assert (tmp_path / "found.json").exists(), done.stderr
    found = json.loads((tmp_path / "found.json").read_text())
    said = {}
    for file, result in found.items():
        messages = re.findall(r'"msgs": (\[[^\]]*\])', json.dumps(result))
        said[Path(file).stem] = [one for text in messages for one in json.loads(text) if one not in FALSE_ALARMS]
    assert len(said) == len(files)
    assert not any(said.values()), said
