"""`ritz predict --members`: draws of predictions in the file, and what has none."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr

from ritz.compute.problems.evolutions.burgers import Burgers
from ritz.compute.surrogates.rollout.refiner import Refiner
from ritz.compute.surrogates.rollout.stepping import Stepping
from ritz.compute.surrogates.spectral.fno import FNO
from ritz.compute.training.offline import Offline
from ritz.storage.files import read_file
from ritz.storage.reading import resolve
from ritz.storage.store import Store
from ritz.tasks.documents.dataset import DatasetVersion
from ritz.tasks.errors import InputError
from ritz.tasks.measuring.worker import load_model
from ritz.tasks.prediction.drawn import Drawn, check_members
from ritz.tasks.prediction.predict import predict
from ritz.tasks.training import worker as train
from tests.command import inside
from tests.compute.surrogates.test_stepping import INNER, model, samples
from tests.documents import origin
from tests.tasks.made import NAME, make, pipeline

PROBLEM = Burgers(points=16, steps=4, end=2.0)


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    """A store with a dataset of shocks and the model ``drawing`` of it, hardly trained."""
    found = make(tmp_path_factory.mktemp("drawing"), PROBLEM)
    surrogate = Refiner(inner=FNO(modes=8, width=4, layers=1), smallest=0.1)
    job = train.Fitting(
        identity="drawing", store=found.url, dataset=NAME, version="v1", problem=PROBLEM, surrogate=surrogate,
        training=Offline(epochs=1, validation=0), shards=5, samples=24, seed=3, dataset_identity=None, channel=None,
    )  # fmt: skip
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(train, "Notifier", lambda _: lambda *_, **__: None)
        summary = train.fit(job)
    version = resolve(found, f"{NAME}@v1")
    recipe = pipeline(PROBLEM).document() | {"surrogate": surrogate.model_dump(mode="json")}
    made = DatasetVersion(name=version.name, version=version.version, snapshot=version.snapshot)
    train.register(found.url, "drawing", "drawing", origin(made, recipe, summary))
    return found


@pytest.fixture
def ask(store: Store, tmp_path: Path) -> Callable[..., xr.Dataset]:
    def work(**options: Any) -> xr.Dataset:
        given = xr.Dataset({"u0": (("sample", "x"), PROBLEM.draw(0, np.arange(3))["u0"])})
        given.to_netcdf(tmp_path / "in.nc", engine="h5netcdf")
        target = tmp_path / "out.nc"
        target.unlink(missing_ok=True)
        predict(store.url, "drawing", tmp_path / "in.nc", target, **options)
        return read_file(target)

    return work


def test_the_file_has_draws_beside_each_prediction(ask: Callable[..., xr.Dataset], store: Store) -> None:
    found = ask(members=4, seed=7)
    assert found["u_members"].dims == ("member", "sample", "time", "x")
    assert found["member"].values.tolist() == [0, 1, 2, 3]
    assert found["member"].attrs["standard_name"] == "realization"
    assert found["u_members"].attrs["comment"] == "seed 7; their spread is not calibrated"
    assert found["u_members"].attrs["units"] == found["u"].attrs["units"]
    assert "u_members" in found["u"].attrs["ancillary_variables"].split()
    assert found["u_members"].std("member").min() > 0
    loaded, _ = load_model(store, "drawing@v1")
    given = {"u0": PROBLEM.draw(0, np.arange(3))["u0"].astype(np.float32)}
    np.testing.assert_array_equal(found["u_members"], loaded.sample(given, 4, 7)["u"])
    xr.testing.assert_identical(ask(members=4, seed=7), found)
    xr.testing.assert_equal(ask(members=4)["u_members"], ask(members=4, seed=0)["u_members"])
    assert not ask(members=4, seed=8)["u_members"].equals(found["u_members"])
    xr.testing.assert_equal(ask()["u"], found["u"])
    assert "u_members" not in ask()


def test_draws_are_at_the_times_that_were_asked_for(ask: Callable[..., xr.Dataset]) -> None:
    found = ask(members=2, times="0,0.5,1.5")
    assert found["time"].values.tolist() == [0.0, 0.5, 1.5]
    assert found["u_members"].dims == ("member", "sample", "time", "x")
    first = found["u"].isel(time=0)
    for member in range(2):
        np.testing.assert_array_equal(found["u_members"].isel(member=member, time=0), first)
    assert found["u_members"].isel(time=slice(1, None)).std("member").min() > 0
    # The steps to a time are the same, whatever times follow.
    longer = ask(members=2, times="0,0.5,1.5,4")
    assert longer["u_members"].sizes["time"] == 4
    np.testing.assert_array_equal(longer["u_members"].isel(time=1, member=0), found["u_members"].isel(time=1, member=0))


def test_the_command_gives_draws(store: Store, tmp_path: Path) -> None:
    given = PROBLEM.draw(0, np.arange(2))["u0"]
    xr.Dataset({"u0": (("sample", "x"), given)}).to_netcdf(tmp_path / "in.nc", engine="h5netcdf")
    files = ("--input", str(tmp_path / "in.nc"), "--output", str(tmp_path / "out.nc"))
    done = inside("predict", "drawing", *files, "--members", "3", "--seed", "1", "--store", store.url, "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["samples"] == 2
    assert read_file(tmp_path / "out.nc")["u_members"].sizes["member"] == 3


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"members": 0}, "--members is 0, expected 1 to 10000"),
        ({"members": 10_001}, "--members is 10001, expected 1 to 10000"),
        ({"seed": 3}, "--seed is 3 without --members, expected both"),
        ({"members": 2, "seed": -1}, "--seed is -1, expected 0 or a positive number"),
        ({"members": 2, "sample_dim": "member"}, "--sample-dim is 'member' with --members"),
    ],
    ids=["none", "many", "seed-alone", "negative", "along-the-draws"],
)
def test_what_draws_there_cannot_be_is_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message) as caught:
        check_members(**{"members": None, "seed": None, "sample_dim": None, **options})
    assert "\n" not in str(caught.value)


def test_draws_of_a_deterministic_surrogate_are_refused() -> None:
    message = "--members is 2, but the surrogate 'stepping' of model one@v1 is deterministic; expected one that draws"
    with pytest.raises(InputError, match=message):
        Drawn.of(model(Stepping(inner=INNER)), "one@v1", samples(), 2, 0)


def test_draws_at_times_that_steps_do_not_lead_to_are_refused() -> None:
    with pytest.raises(InputError, match=r"--members with --times: times has 0\.7 after 0, which is no whole number"):
        Drawn.of(model(Refiner(inner=INNER)), "one@v1", samples(), 2, 0, (0.7,))
