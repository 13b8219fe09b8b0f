"""`ritz predict --verify`: what was done for each sample, in the file and in a line."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr

from ritz.compute.problems.darcy import Darcy
from ritz.compute.simulation.simulate import simulate
from ritz.compute.solvers.factorization.direct import Direct
from ritz.compute.uncertainty.verification import fields as verification
from ritz.storage.files import read_file
from ritz.storage.store import Store
from ritz.tasks.documents import of_model
from ritz.tasks.errors import InputError
from ritz.tasks.prediction.predict import predict
from ritz.tasks.prediction.verified import Verification, verifiable
from tests.command import inside

TinyStore = tuple[Path, dict[str, Any]]
Work = Callable[..., tuple[Any, xr.Dataset]]


@pytest.fixture
def work(tiny_store: TinyStore, inputs: xr.Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Work:
    """Verify predictions for three test samples; a solve takes thrice as long as a step, or as told."""

    def call(tolerance: float, solve: float = 3.0, given: xr.Dataset = inputs) -> tuple[Any, xr.Dataset]:
        left = [1.0, solve]
        monkeypatch.setattr(verification, "_seconds", lambda _: left.pop(0))
        (tmp_path / "out.nc").unlink(missing_ok=True)
        given.to_netcdf(tmp_path / "in.nc", engine="h5netcdf")
        result = predict(str(tiny_store[0]), "tiny", tmp_path / "in.nc", tmp_path / "out.nc", verify=tolerance)
        return result, read_file(tmp_path / "out.nc")

    return call


def _error(fields: np.ndarray, inputs: xr.Dataset) -> np.ndarray:
    truth, _ = simulate(Darcy(shape=(16, 16)), {"a": inputs["a"].values}, Direct(), 1e-10)
    rows = (fields - truth["u"]).reshape(3, -1)
    found: np.ndarray = np.linalg.norm(rows, axis=1) / np.linalg.norm(truth["u"].reshape(3, -1), axis=1)
    return found


def test_what_is_within_the_tolerance_stays_and_what_is_not_is_corrected(work: Work, inputs: xr.Dataset) -> None:
    _, plain = work(0.99)
    estimates = plain["estimated_error"].values
    tolerance = float(np.sort(estimates)[:2].mean())
    result, found = work(tolerance)
    kept = estimates <= tolerance
    np.testing.assert_array_equal(found["verified"], np.where(kept, 0, 1))
    assert found["verified"].attrs["flag_meanings"] == "predicted corrected solved failed"
    assert "no solve" in found["verified"].attrs["comment"]
    np.testing.assert_array_equal(found["u_verified"].values[kept], found["u"].values[kept])
    assert _error(found["u_verified"].values, inputs).max() <= 1.1 * tolerance
    assert (found["verified_error"] <= tolerance).all()
    verified = result.verified
    assert (verified.predicted, verified.corrected, verified.solved, verified.failed) == (1, 2, 0, 0)
    assert {"u_verified", "verified", "verified_error"} <= set(found["u"].attrs["ancillary_variables"].split())


def test_where_a_solve_is_as_cheap_all_are_solved_and_it_is_said(work: Work, inputs: xr.Dataset) -> None:
    result, found = work(0.5, solve=1.0)
    assert found["verified"].values.tolist() == [2, 2, 2]
    assert np.isnan(found["verified_error"]).all()
    assert _error(found["u_verified"].values, inputs).max() < 1e-7
    assert "0 as predicted, 0 corrected by steps, 3 solved to rtol 1e-08 (a solve is as cheap" in result.remarks[-1]


def test_fields_lie_where_the_points_of_the_file_lie(work: Work, inputs: xr.Dataset) -> None:
    _, first = work(0.001)
    _, second = work(0.001, given=inputs.isel(x=slice(None, None, -1)))
    assert first["u_verified"].dims == ("sample", "y", "x")
    np.testing.assert_array_equal(second["u_verified"].values[..., ::-1], first["u_verified"].values)


def test_the_command_prints_counts_and_seconds(inputs: xr.Dataset, tiny_store: TinyStore, tmp_path: Path) -> None:
    inputs.to_netcdf(tmp_path / "in.nc", engine="h5netcdf")
    files = ("--input", str(tmp_path / "in.nc"), "--output", str(tmp_path / "out.nc"))
    done = inside("predict", "tiny", *files, "--store", str(tiny_store[0]), "--verify", "0.01", "--strict")
    assert done.returncode == 0, done.stderr
    (line,) = done.stderr.splitlines()
    assert line.startswith("verified to an estimated relative error of 0.01: of 3 samples ")
    assert re.search(r"; per sample \S+ ms to predict, \S+ ms to verify, \S+ ms for a full solve$", line)


@pytest.mark.parametrize("tolerance", [0.0, -1.0, 1.0, float("nan"), float("inf")])
def test_a_tolerance_that_is_none_is_refused(tolerance: float, work: Work) -> None:
    with pytest.raises(InputError, match=r"--verify is .*, expected an estimated relative error above 0 and below 1"):
        work(tolerance)


def test_another_grid_than_that_of_the_problem_is_refused(work: Work, inputs: xr.Dataset) -> None:
    finer = (np.arange(24) + 0.5) / 24
    given = inputs.interp(x=finer, y=finer, kwargs={"fill_value": "extrapolate"})
    given["a"] = np.maximum(given["a"], 0.01)
    said = "the inputs have 24 points along 'y' and 24 points along 'x', expected the grid of problem 'darcy': 16 along"
    with pytest.raises(InputError, match=said):
        work(0.01, given=given)


def test_a_problem_that_is_not_installed_or_has_no_step_is_refused(
    tiny_store: TinyStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    card = of_model.card(Store(tiny_store[0]), "tiny")
    other = card.changed(recipe={**card.recipe, "problem": {"kind": "somebody"}})
    inputs: Any = None
    with pytest.raises(InputError, match="the problem 'somebody' of model tiny@v1 is not installed here"):
        verifiable(other, "tiny@v1", inputs, 0.1)
    monkeypatch.setattr(Darcy, "uncorrectable", lambda _: "its matrix is not known")
    with pytest.raises(InputError, match=r"'darcy' of model tiny@v1 has no step .*: its matrix is not known"):
        verifiable(card, "tiny@v1", inputs, 0.1)


def test_a_sample_without_a_good_solve_is_an_objection_and_said() -> None:
    verified = Verification(
        tolerance=0.1,
        predicted=1,
        corrected=0,
        solved=2,
        failed=1,
        rtol=1e-8,
        all_solved=False,
        seconds_prediction=0.0012,
        seconds_verification=0.5,
        seconds_step=0.1,
        seconds_solve=2,
    )
    assert verified.text() == (
        "verified to an estimated relative error of 0.1: of 4 samples 1 as predicted, 0 corrected by steps, 2 solved "
        "to rtol 1e-08, 1 without a good solve; per sample 1.2 ms to predict, 500 ms to verify, 2000 ms for a full "
        "solve"
    )
