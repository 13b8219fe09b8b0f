from __future__ import annotations

import json
import shutil
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr

from ritz.compute.document import Json
from ritz.compute.problems.darcy import Darcy
from ritz.storage import models
from ritz.storage.files import read_file
from ritz.storage.store import Store
from ritz.tasks.prediction.predict import predict
from tests.command import inside

TinyStore = tuple[Path, dict[str, Any]]


STRANGE: list[tuple[str, Callable[[np.ndarray], np.ndarray]]] = [
    ("scaled", lambda a: 10 * a),
    ("shifted", lambda a: a + 20),
    ("powers", lambda a: a**3),
    ("rougher", lambda a: a * np.exp(np.random.default_rng(0).standard_normal(a.shape))),
    ("constant", lambda a: np.ones_like(a) * a.mean(axis=(1, 2), keepdims=True)),
    ("permuted", lambda a: a.reshape(3, -1)[:, np.random.default_rng(0).permutation(256)].reshape(a.shape)),
]


@pytest.mark.parametrize("change", [row[1] for row in STRANGE], ids=[row[0] for row in STRANGE])
def test_an_input_unlike_those_of_the_training_is_said_and_flagged(
    change: Callable[[np.ndarray], np.ndarray], inputs: xr.Dataset, tiny_store: TinyStore, tmp_path: Path
) -> None:
    strange = inputs["a"].copy(data=change(inputs["a"].values))
    given = xr.concat([inputs["a"], strange], "sample").to_dataset(name="a")
    given.to_netcdf(tmp_path / "in.nc", engine="h5netcdf")
    files = ("--input", str(tmp_path / "in.nc"), "--output", str(tmp_path / "out.nc"))
    done = inside("predict", "tiny", *files, "--store", str(tiny_store[0]))
    assert done.returncode == 0, done.stderr
    assert done.stdout == f"6 predictions by tiny@v1 in {tmp_path}/out.nc, with bands calibrated on tiny@v1's law\n"
    (line,) = done.stderr.splitlines()
    assert line.startswith("3 of 6 inputs are unlike those of tiny@v1 (position 3, 4, 5; at ")
    assert "expected" in line
    assert "`input_outside` flags them" in line
    found = read_file(tmp_path / "out.nc")
    assert found["input_outside"].values.tolist() == [0, 0, 0, 1, 1, 1]
    assert found["input_outside"].attrs["flag_meanings"] == "inside outside not_judged"
    np.testing.assert_array_equal(found["input_score"] > 1, found["input_outside"] == 1)
    assert "calibrated on tiny@v1's law" in found["u_upper"].attrs["comment"]
    assert set(found["u"].attrs["ancillary_variables"].split()) <= set(found.data_vars)


@pytest.fixture
def before(tmp_path: Path) -> Store:
    """A store with a model that was saved before training inputs were looked at."""
    with tarfile.open(Path(__file__).parents[1] / "data" / "store.tar.gz") as archive:
        archive.extractall(tmp_path / "before", filter="data")
    (folder,) = (path.parent for path in (tmp_path / "before").rglob("models"))
    return Store(folder)


def _result(store: Store, folder: Path) -> Json:
    """Predict for training inputs of the model and for others."""
    known = Darcy(shape=(8, 8)).draw(0, np.arange(6))["a"]
    given = xr.Dataset({"a": (("sample", "y", "x"), np.concatenate([known, 30 * known]))})
    given.to_netcdf(folder / "in.nc", engine="h5netcdf")
    return predict(store.url, "small@v1", folder / "in.nc", folder / "out.nc").document()


def test_a_model_saved_before_is_judged_by_the_version_it_was_trained_on(before: Store, tmp_path: Path) -> None:
    assert _result(before, tmp_path)["outside"] == [6, 7, 8, 9, 10, 11]
    assert models.read_file(before, "small@v1", "novelty.json") is None


@pytest.mark.parametrize("gone", ["folder", "snapshot"])
def test_without_that_version_it_is_said_that_inputs_are_not_judged(gone: str, before: Store, tmp_path: Path) -> None:
    if gone == "folder":
        shutil.rmtree(before.location("datasets/small"))
    else:
        card = Path(before.location("models/small/v1/card.json"))
        document = json.loads(card.read_text())
        document["dataset"]["snapshot"] = "ANOTHER"
        card.write_text(json.dumps(document))
    result = _result(before, tmp_path)
    assert result["outside"] is None
    (line,) = result["remarks"]
    assert "cannot be judged: dataset" in line
    found = read_file(tmp_path / "out.nc")
    assert found["input_outside"].values.tolist() == [2] * 12
    assert np.isnan(found["input_score"]).all()
