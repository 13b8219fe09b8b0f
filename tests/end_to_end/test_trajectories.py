"""Trajectories are samples: solved once each, learnt online, killed, resumed, replayed, predicted, shown."""

from __future__ import annotations

import os
import signal
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr

from ritz.compute.problems.evolutions.burgers import Burgers
from ritz.storage.files import read_file
from ritz.storage.reading import read
from ritz.storage.store import Store
from tests.command import RITZ, inside, printed, replayed, started

pytestmark = pytest.mark.slow

RECIPE = str(Path(__file__).parents[1] / "trajectories.yaml")
TIMES, BEYOND = "0:0.25:0.03125", "0:0.5:0.0625"


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, dict[str, Any]]:
    """A run that was killed while it trained, and ended by the same command."""
    store = str(tmp_path_factory.mktemp("trajectories") / "store")
    with started(RITZ, "run", RECIPE, "--store", store) as process:
        assert process.stderr is not None
        # A line of the training, or the end of a run that was too quick to be killed.
        seen = next((line for line in process.stderr if " train: " in line), "")
        assert seen
        os.killpg(process.pid, signal.SIGKILL)
        threading.Thread(target=process.stderr.read, daemon=True).start()
    return store, printed("run", RECIPE, "--store", store, env=os.environ)


def test_every_trajectory_is_there_once_and_solves_its_equations(run: tuple[str, dict[str, Any]]) -> None:
    data = read(Store(run[0]), "trajectories").load()
    assert sorted(data["sample_id"].values.tolist()) == list(range(160))
    assert (data["status"] == 1).all()
    assert data["u"].dims == ("sample", "time", "x")
    problem = Burgers(points=32, steps=8, end=0.25)
    fresh = problem.draw(0, data["sample_id"].values[:8])
    np.testing.assert_array_equal(data["u0"].values[:8], fresh["u0"])
    left = problem.residual(fresh, {"u": data["u"].values[:8]})
    assert np.all(left <= 1e-8 + 2**-24 * problem.rounding(fresh, {"u": data["u"].values[:8]}))


def test_the_training_is_replayed_bit_for_bit(run: tuple[str, dict[str, Any]]) -> None:
    found = replayed(run[0], "trajectories@v1")
    assert (found["agrees"], found["exact"], found["equal"]) == (True, True, True)


@pytest.fixture(scope="module")
def first(tmp_path_factory: pytest.TempPathFactory) -> Path:
    problem, path = Burgers(points=32, steps=8, end=0.25), tmp_path_factory.mktemp("inputs") / "u0.nc"
    states = problem.draw(9, np.arange(2))["u0"]
    xr.Dataset({"u0": (("sample", "x"), states)}, {"x": problem.template(1)["x"].values}).to_netcdf(
        path, engine="h5netcdf"
    )
    return path


def predicted(run: tuple[str, dict[str, Any]], first: Path, target: Path, *more: str) -> tuple[xr.Dataset, str]:
    done = inside("predict", "trajectories", "--store", run[0], "--input", str(first), "--output", str(target), *more)
    assert done.returncode == 0, done.stderr
    return read_file(target), done.stderr


def test_times_of_the_training_have_bands_and_others_are_flagged(
    run: tuple[str, dict[str, Any]], first: Path, tmp_path: Path
) -> None:
    plain, _ = predicted(run, first, tmp_path / "plain.nc")
    same, _ = predicted(run, first, tmp_path / "same.nc", "--times", TIMES)
    np.testing.assert_array_equal(same["u"].values[:, 1:], plain["u"].values)
    np.testing.assert_array_equal(same["u_upper"].values[:, :, 1:], plain["u_upper"].values)
    assert same["bands_calibrated"].values.tolist() == [0, *[1] * 8]
    far, said = predicted(run, first, tmp_path / "far.nc", "--times", BEYOND)
    assert far["bands_calibrated"].values.tolist() == [0, 1, 1, 1, 1, 0, 0, 0, 0]
    assert np.isnan(far["u_lower"].values[:, :, 5:]).all()
    assert np.isfinite(far["u"].values).all()
    assert far["time"].attrs == {"units": "1", "long_name": "time"}
    assert "the times reach to 0.5, the training to 0.25: no error was measured beyond it" in said


def test_a_rollout_is_verified_step_by_step(run: tuple[str, dict[str, Any]], first: Path, tmp_path: Path) -> None:
    found, said = predicted(run, first, tmp_path / "verified.nc", "--times", BEYOND, "--verify", "0.001")
    problem = Burgers(points=32, steps=16, end=0.5)
    inputs = {"u0": read_file(first)["u0"].values}
    truth = problem.simulate(
        inputs,
        lambda systems: np.stack(
            [np.linalg.solve(systems.operators.csr(i).toarray(), systems.rhs[i]) for i in range(len(systems))]
        ),
    )["u"][:, 1::2]
    error = np.abs(found["u_verified"].values[:, 1:] - truth).max() / np.abs(truth).max()
    assert error < 0.02
    assert found["verified"].dims == ("sample", "time")
    assert (found["verified_error"].values <= 0.001).all()
    assert "every step verified to a relative error of 0.001: of 32 steps" in said


def test_the_report_shows_the_rollout(run: tuple[str, dict[str, Any]]) -> None:
    page = (Path(run[0]) / "runs" / run[1]["run"] / "report.html").read_text()
    assert '<figure class="film">' in page
    assert "nRMSE over windows of steps" in page
    # At each time of each sample once: the model, what it has to beat, and the solver in equal seconds.
    for method in ("this model", "persistence: the first state", "training mean"):
        assert f">{method}<" in page, method
