from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr

from ritz.compute.problems.darcy import Darcy
from ritz.compute.simulation.simulate import simulate
from ritz.compute.solvers.factorization.direct import Direct
from tests.end_to_end.conftest import example

pytestmark = pytest.mark.slow

PROBLEM = Darcy(shape=(16, 16))

FLOAT32 = 2.0**-24
"""Unit round-off of the stored dtype."""


@pytest.fixture(scope="module")
def data(tiny_store: tuple[Path, dict[str, Any]]) -> xr.Dataset:
    """The dataset of the tiny run, read by the lines that the README gives."""
    there = "ritz-store/datasets/darcy"
    lines = example("xr.open_zarr")
    assert there in lines
    names: dict[str, Any] = {}
    exec(lines.replace(there, str(tiny_store[0] / "datasets" / "tiny")), names)
    return names["data"].load()


def test_every_sample_is_there_once_with_its_split(data: xr.Dataset) -> None:
    ids = data["sample_id"].values
    assert sorted(ids) == list(range(160))
    names = np.array(data["split"].attrs["flag_meanings"].split())[data["split"].values]
    for start in range(0, 160, 20):
        block = names[(start <= ids) & (ids < start + 20)].tolist()
        counts = {name: block.count(name) for name in set(block)}
        assert counts == {"train": 12, "validate": 2, "calibrate": 3, "test": 3}
    assert (data["status"].values == 1).all()
    assert data["status"].attrs["flag_meanings"].split()[1] == "ok"


def test_it_describes_itself(data: xr.Dataset) -> None:
    assert data.attrs["Conventions"].startswith("CF-")
    assert json.loads(data.attrs["recipe"])["problem"] == PROBLEM.model_dump(mode="json")
    for name, role in (("a", "input"), ("u", "output")):
        assert data[name].dtype == np.float32
        assert data[name].dims == ("sample", "y", "x")
        assert data[name].attrs["role"] == role
        assert {"units", "long_name"} <= set(data[name].attrs)
    np.testing.assert_allclose(data["x"], (np.arange(16) + 0.5) / 16)


def test_inputs_are_the_law_s_bit_for_bit(data: xr.Dataset) -> None:
    np.testing.assert_array_equal(data["a"].values, PROBLEM.draw(0, data["sample_id"].values)["a"])


def test_residuals_of_the_stored_fields_are_what_rounding_leaves(data: xr.Dataset) -> None:
    check_residuals(data)


def test_samples_solved_again_from_the_stored_inputs_are_the_same(data: xr.Dataset) -> None:
    check_solutions(data)


def check_residuals(data: xr.Dataset) -> None:
    """The discrete residuals, recomputed without the solvers' operators."""
    assert (data["residual"].values <= 1e-8).all()
    inputs, fields = {"a": data["a"].values}, {"u": data["u"].values}
    allowed = 1e-8 + FLOAT32 * PROBLEM.rounding(inputs, fields)
    assert (PROBLEM.residual(inputs, fields) <= allowed).all()


def check_solutions(data: xr.Dataset) -> None:
    """All samples solved again from the stored inputs by the direct solver."""
    stored = data["u"].values.astype(np.float64)
    again = simulate(PROBLEM, {"a": data["a"].values}, Direct(), 1e-12)[0]["u"]
    allowed = FLOAT32 * np.abs(stored) + 1e-7 * np.abs(stored).max(axis=(1, 2), keepdims=True)
    assert (np.abs(stored - again) <= allowed).all()
