"""Bands by time from a calibration to the file of a prediction, without a cluster of their own."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import xarray as xr

from ritz.compute.cluster.cluster import Cluster
from ritz.compute.surrogates.fitted.pca_ridge import PCARidge
from ritz.compute.training.fit import Fit
from ritz.compute.uncertainty.catalogue import uncertainty
from ritz.compute.uncertainty.uncertainty import Scope
from ritz.storage.files import read_file
from ritz.storage.reading import read, resolve
from ritz.storage.store import Store
from ritz.tasks.documents import of_model
from ritz.tasks.documents.calibration import Calibration
from ritz.tasks.documents.dataset import DatasetVersion
from ritz.tasks.measuring.quantify import quantify
from ritz.tasks.prediction.predict import predict
from ritz.tasks.training import worker as train
from tests.compute.problems.families import SMALL
from tests.documents import origin
from tests.tasks.made import NAME, make, pipeline

SPEC = f"{NAME}@v1"

PROBLEM = SMALL["burgers"]
"""Its states are stored at six times, 1/30 to 0.2."""

METHOD = uncertainty(
    {"kind": "conformal", "levels": [0.5], "spread": {"kind": "constant"}, "per": "time", "window": [0.06, 0.14]}
)


@pytest.fixture(scope="module")
def calibrated(tmp_path_factory: pytest.TempPathFactory, measuring: Cluster) -> tuple[Store, Calibration]:
    store = make(tmp_path_factory.mktemp("made"), PROBLEM)
    job = train.Fitting(
        identity="fitted", store=store.url, dataset=NAME, version="v1", problem=PROBLEM, surrogate=PCARidge(),
        training=Fit(), shards=5, samples=24, seed=3, dataset_identity=None, channel=None,
    )  # fmt: skip
    with pytest.MonkeyPatch.context() as patch:
        # The one thing that needs a cluster: to tell the driver how far the training is.
        patch.setattr(train, "Notifier", lambda _: lambda *_, **__: None)
        summary = train.fit(job)
    recipe = pipeline(PROBLEM).document() | {"uncertainty": METHOD.model_dump(mode="json")}
    version = resolve(store, SPEC)
    dataset = DatasetVersion(name=version.name, version=version.version, snapshot=version.snapshot)
    train.register(store.url, "fitted", NAME, origin(dataset, recipe, summary))
    return store, quantify.fn(store.url, measuring, SPEC, SPEC, METHOD)


def test_the_card_has_the_coverage_of_each_time(calibrated: tuple[Store, Calibration]) -> None:
    store, found = calibrated
    [row] = found.coverage.values()
    assert row.by_step is not None
    assert row.by_step_together is not None
    assert len(row.by_step) == len(row.by_step_together) == 6
    for (share, low, high), (least, most) in zip(row.by_step, row.by_step_together, strict=True):
        assert least <= low <= share <= high <= most
    assert row.expected is not None
    assert found.made.endswith("hold them at the stored times from 0.0666667 to 0.133333 together (3 of 6).")
    assert of_model.card(store, SPEC).calibration == found
    assert "over 6 times" in row.over_time()


@pytest.mark.parametrize("scope", ["points", "fields"])
def test_a_prediction_has_bands_at_the_times_that_they_hold(
    calibrated: tuple[Store, Calibration], tmp_path: Path, scope: Scope
) -> None:
    store, _ = calibrated
    source, target = tmp_path / "in.nc", tmp_path / "out.nc"
    data = read(store, SPEC)
    test = data.isel(sample=np.flatnonzero(data["split"].values == "test"))
    xr.Dataset({"u0": test["u0"].drop_vars([name for name in test["u0"].coords if name != "x"])}).to_netcdf(
        source, engine="h5netcdf"
    )
    predict(store.url, SPEC, source, target, scope=scope)
    written = read_file(target, ("u", "u_lower", "u_upper"))
    width = (written["u_upper"] - written["u_lower"]).isel(level=0).transpose("time", ...)
    there = np.isfinite(width.values).all(axis=(1, 2))
    assert there.tolist() == ([True] * 6 if scope == "points" else [False, True, True, True, False, False])
    # One width for all points of a time, which grows along the trajectories.
    own = width.values[there].mean(axis=(1, 2))
    np.testing.assert_allclose(width.values[there], np.broadcast_to(own[:, None, None], width[there].shape), rtol=1e-3)
    assert np.all(np.diff(own) > 0)
    said = {
        "points": "expected share of the points of a sample inside at each stored time: level",
        "fields": "inside at the stored times from 0.0666667 to 0.133333 together (3 of 6): level",
    }
    assert written["u_lower"].attrs["comment"].endswith(said[scope])
