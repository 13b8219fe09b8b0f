"""What Python reads of a store: `ritz.open_dataset`, `ritz.load_model`."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr

import ritz
from ritz.storage.errors import Unknown
from ritz.tasks.errors import InputError
from ritz.tasks.prediction.trained_model import TrainedModel
from tests.command import inside
from tests.older import unpacked
from tests.storage.test_readme import blocks


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return unpacked(tmp_path_factory.mktemp("older"))


@pytest.fixture(scope="module")
def model(folder: Path) -> TrainedModel:
    return ritz.load_model("small@v1", store=str(folder / "store"))


def test_a_model_predicts_as_the_command_does(folder: Path, model: TrainedModel, tmp_path: Path) -> None:
    source, target = str(folder / "a.nc"), str(tmp_path / "u.nc")
    done = inside("predict", "small@v1", "--input", source, "--output", target, "--store", str(folder / "store"))
    assert done.returncode == 0, done.stderr
    with xr.open_dataset(source) as given, xr.open_dataset(target) as before:
        inputs = given.load()
        predicted = model.predict(inputs)
        [level] = model.levels
        lower, upper = model.interval(inputs, predicted, level)
        np.testing.assert_array_equal(predicted["u"], before["u"].values)
        np.testing.assert_array_equal(lower["u"], before["u_lower"].sel(level=level).values)
        np.testing.assert_array_equal(upper["u"], before["u_upper"].sel(level=level).values)
        # Arrays without names have the samples first; those with names may have them anywhere.
        np.testing.assert_array_equal(model.predict({"a": inputs["a"].values})["u"], predicted["u"])
        turned = {"a": inputs["a"].transpose("x", "sample", "y")}
        np.testing.assert_array_equal(model.predict(turned)["u"], predicted["u"])


def test_a_model_has_its_card(model: TrainedModel) -> None:
    assert (model.spec, model.card.recipe["name"], list(model.card.inputs)) == ("small@v1", "small", ["a"])
    assert model.levels == (0.5,)


ONES = np.ones((2, 8, 8), np.float32)

REFUSED: dict[str, tuple[Callable[[TrainedModel], object], str]] = {
    "an input is missing": (lambda model: model.predict({"b": ONES}), "input 'a': missing; model small@v1 takes 'a'"),
    "one sample without a dimension": (
        lambda model: model.predict({"a": ONES[0]}),
        "input 'a': has the shape (8, 8); expected (sample, y, x), as model small@v1 has them",
    ),
    "other dimensions": (
        lambda model: model.predict({"a": xr.DataArray(ONES, dims=("sample", "y", "z"))}),
        "input 'a': has the dimensions (sample, y, z); expected (sample, y, x)",
    ),
    "not finite": (
        lambda model: model.predict({"a": ONES * np.float32(np.nan)}),
        "model small@v1: input 'a' holds values that are not finite, in samples [0, 1]",
    ),
    "another level": (
        lambda model: model.interval({"a": ONES}, {"u": ONES}, 0.9),
        "level = 0.9: model small@v1 is calibrated for 0.5",
    ),
    "no error bars": (
        lambda model: TrainedModel("one@v1", model.card, model.model, None).interval({"a": ONES}, {"u": ONES}, 0.5),
        "model one@v1 has no error bars; `ritz quantify one@v1` calibrates them",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_does_not_fit_a_model_is_one_line(case: str, model: TrainedModel) -> None:
    work, expected = REFUSED[case]
    with pytest.raises(InputError, match=re.escape(expected)) as caught:
        work(model)
    assert "\n" not in str(caught.value)


def test_what_is_not_there_is_answered_by_what_is(folder: Path) -> None:
    store = str(folder / "store")
    with pytest.raises(Unknown, match=re.escape(f"dataset 'smal': not in {store}; there are: small")):
        ritz.open_dataset("smal", store=store)
    with pytest.raises(Unknown, match=r"dataset 'small' .*has no version 'v9'; there are: v1"):
        ritz.open_dataset("small@v9", store=store)
    with pytest.raises(Unknown, match=re.escape(f"model 'smal': not in {store}; there are: small")):
        ritz.load_model("smal", store=store)


def test_a_dataset_has_what_was_asked_for(folder: Path) -> None:
    data = ritz.open_dataset("small@v1", store=str(folder / "store"))
    assert dict(data.sizes) == {"sample": 40, "y": 8, "x": 8}
    assert ritz.open_dataset("small", str(folder / "store"), statuses=("failed",)).sizes["sample"] == 0


def test_the_readme_reads_and_predicts_so(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (block,) = (block for block in blocks("ritz.load_model"))
    (tmp_path / "ritz-store").symlink_to(folder / "store")
    monkeypatch.chdir(tmp_path)
    names: dict[str, Any] = {}
    exec(block.replace("darcy@v1", "small@v1").replace("level=0.9", "level=0.5"), names)
    assert names["predicted"]["u"].shape == (6, 8, 8)
    assert (names["lower"]["u"] <= names["upper"]["u"]).all()
