from __future__ import annotations

import json
import re
import shutil
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr

from ritz.compute.document import Json
from ritz.compute.fields.dimensions import Dimensions
from ritz.compute.problems.darcy import Darcy
from ritz.compute.uncertainty.novelty.catalogue import novelty as read_novelty
from ritz.compute.uncertainty.novelty.novelty import Judged
from ritz.compute.uncertainty.novelty.ranks import Ranks
from ritz.compute.uncertainty.predicted import Assessment
from ritz.storage import models
from ritz.storage.files import read_file
from ritz.storage.reading import read
from ritz.storage.store import Store
from ritz.tasks.documents.evaluation import Evaluation
from ritz.tasks.measuring.novelty_worker import of_inputs
from ritz.tasks.prediction.estimated import Estimated
from ritz.tasks.prediction.predict import Prediction, predict
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
    line, *errors = done.stderr.splitlines()
    assert line.startswith(
        "3 of 6 inputs are unlike those of tiny@v1 by conformal p < 0.01, as at most 1 % of its own "
        "inputs are (position 3, 4, 5; at "
    )
    assert re.search(r"at [345], p = 0\.0093 ", line)
    assert all("estimated error" in one for one in errors)
    assert "expected" in line
    assert "`input_outside` flags them" in line
    found = read_file(tmp_path / "out.nc")
    assert found["input_outside"].values.tolist() == [0, 0, 0, 1, 1, 1]
    assert found["input_outside"].attrs["flag_meanings"] == "inside outside not_judged"
    np.testing.assert_array_equal(found["input_score"] > 1, found["input_outside"] == 1)
    np.testing.assert_array_equal(found["input_p"] < 0.01, found["input_outside"] == 1)
    assert "by conformal p < 0.01" in found["input_outside"].attrs["long_name"]
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
    result = _result(before, tmp_path)
    assert models.read_file(before, "small@v1", "novelty.json") is None
    assert result["outside"] is None
    (line,) = result["remarks"]
    assert "like those of small@v1 cannot be judged: too few inputs to tell, among 27 known ones no p-value" in line
    found = read_file(tmp_path / "out.nc")
    assert found["input_outside"].values.tolist() == [2] * 12
    np.testing.assert_allclose(found["input_p"][6:], 1 / 28, rtol=1e-6)
    assert (found["input_p"][:6] > 1 / 28).all()


def test_a_model_of_an_older_release_is_judged_by_the_rule_that_it_kept(before: Store, tmp_path: Path) -> None:
    bounds = {name: {"low": -50.0, "high": 50.0, "logarithm": True} for name in ("spread", "roughness", "fineness")}
    bounds |= {"level": {"low": -1.0, "high": 1.0}, "lowest": {"low": -9.0, "high": 9.0}}
    bounds |= {"highest": {"low": -9.0, "high": 9.0}}
    kept = {
        "kind": "extremes",
        "samples": 24,
        "logs": ["a"],
        "units": {"a": 1.0},
        "bounds": {f"log a {name}": one for name, one in bounds.items()},
        "dimensions": Dimensions.of(Darcy(shape=(8, 8)).template(1)).model_dump(mode="json"),
    }
    models.add(before, "small@v1", {"novelty.json": json.dumps(kept).encode()}, {})
    result = _result(before, tmp_path)
    assert result["outside"] == [6, 7, 8, 9, 10, 11]
    assert "unlike those of small@v1 by the rule 'extremes' of an older release" in result["remarks"][0]
    assert re.search(r"; at \d+ log a level 3\.4, expected -1 to 1\)", result["remarks"][0])
    found = read_file(tmp_path / "out.nc")
    assert found["input_outside"].values.tolist() == [0] * 6 + [1] * 6
    assert np.isnan(found["input_p"]).all()


@pytest.mark.parametrize(("change", "code"), [(1.0, 0), (1e6, 1)])
def test_strict_ends_with_an_error_where_a_sample_is_flagged(
    change: float, code: int, inputs: xr.Dataset, tiny_store: TinyStore, tmp_path: Path
) -> None:
    given = inputs.copy(deep=True)
    given["a"][1] *= change
    given.to_netcdf(tmp_path / "in.nc", engine="h5netcdf")
    files = ("--input", str(tmp_path / "in.nc"), "--output", str(tmp_path / "out.nc"))
    done = inside("predict", "tiny", *files, "--store", str(tiny_store[0]), "--strict")
    assert done.returncode == code
    assert (tmp_path / "out.nc").exists()
    last = done.stderr.splitlines()[-1:]
    assert last == (["--strict: 1 of 3 samples are flagged"] if code else [])


def _prediction(**entries: Any) -> Prediction:
    known = {"model": "m@v1", "released": True, "samples": 9, "levels": (), "output": "u.nc", "calibrated": None}
    return Prediction.model_validate(known | {"outside": (), "remarks": ()} | entries)


ROLLOUT: dict[str, Any] = {
    "tolerance": 0.01,
    "steps": 36,
    "predicted": 1.0,
    "corrected": 0.0,
    "solved": 0.0,
    "failed": 0.0,
    "samples": 4,
    "error_free": 0.1,
    "error_verified": 0.02,
    "seconds_verified": 0.01,
    "seconds_solver": 0.02,
}

OBJECTIONS: list[tuple[dict[str, Any], str]] = [
    ({}, ""),
    ({"outside": None}, "the inputs could not be judged"),
    ({"outside": (1, 2), "doubtful": (2,), "far": (7,)}, "3 of 9 samples are flagged"),
    ({"far": (7,)}, "1 of 9 samples are flagged"),
    ({"outside": None, "doubtful": (0,)}, "the inputs could not be judged and 1 of 9 samples are flagged"),
    ({"rollout": ROLLOUT}, ""),
    ({"rollout": ROLLOUT | {"predicted": 0.75, "failed": 0.25}}, "9 of 36 steps had no good answer"),
]


@pytest.mark.parametrize(("entries", "said"), OBJECTIONS)
def test_what_strict_counts(entries: dict[str, Any], said: str) -> None:
    assert _prediction(**entries).objection() == said


def test_an_error_far_beyond_those_of_the_test_is_flagged_whatever_the_input_looks_like(
    inputs: xr.Dataset, tiny_store: TinyStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As of a law that the statistics do not tell: here the rule of the inputs is blind."""
    blind = Judged(np.zeros(3), np.ones(3), ("", "", ""), "no rule")
    monkeypatch.setattr(Ranks, "judge", lambda *_: blind)
    given = inputs.copy(deep=True)
    given["a"][2] *= 30
    given.to_netcdf(tmp_path / "in.nc", engine="h5netcdf")
    result = predict(str(tiny_store[0]), "tiny", tmp_path / "in.nc", tmp_path / "out.nc")
    largest = tiny_store[1]["metrics"]["relative_l2"]["max"]
    found = read_file(tmp_path / "out.nc")
    assert found["estimated_error"].values[2] > 3 * largest > found["estimated_error"].values[:2].max()
    assert result.outside == ()
    assert result.far == (2,)
    (line,) = result.remarks
    assert line.startswith(
        "the estimated error of 1 of 3 predictions is beyond 3 times the largest error of 24 test samp"
    )
    assert found["estimate_far"].values.tolist() == [0, 0, 1]
    assert found["estimate_far"].attrs["flag_meanings"] == "near far"
    assert result.objection() == "1 of 3 samples are flagged"


def test_errors_are_far_beyond_those_that_were_measured_and_not_where_none_were() -> None:
    assessment = Assessment(None, np.array([0.1, 0.61, np.nan]), np.array([False, False, True]))
    metrics = {"relative_l2": {"mean": 0.1, "median": 0.1, "p95": 0.2, "max": 0.2}}
    document = {"dataset": "d@v1", "samples": 50, "metrics": metrics, "baselines": {}, "baseline_samples": 9}
    known = Estimated.of(assessment, Evaluation.model_validate(document))
    assert known is not None
    assert known.far.tolist() == [False, True, False]
    assert known.limit_text() == "3 times the largest error of 50 test samples of d@v1, 0.2"
    assert known.summary() == (pytest.approx(0.355), 0.61)
    unknown = Estimated.of(assessment, None)
    assert unknown is not None
    assert not unknown.far.any()
    assert Estimated.of(None, None) is None


def test_a_rule_of_a_later_release_is_no_rule_here(before: Store, tmp_path: Path) -> None:
    models.add(before, "small@v1", {"novelty.json": b'{"kind": "oracle"}'}, {})
    result = _result(before, tmp_path)
    assert result["outside"] is None
    assert "cannot be judged: no rule of this release reads novelty.json of model small@v1" in result["remarks"][0]


def test_the_inputs_of_all_splits_are_known_whatever_their_order(tiny_store: TinyStore) -> None:
    data = read(Store(tiny_store[0]), "tiny")
    kept = read_novelty(models.read_file(Store(tiny_store[0]), "tiny@v1", "novelty.json") or b"")
    assert isinstance(kept, Ranks)
    assert len(kept.own_grid.known) == 160 - 160 // 3
    assert of_inputs(data) == kept
    shuffled = data.isel(sample=np.random.default_rng(1).permutation(160))
    assert of_inputs(shuffled) == kept


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
