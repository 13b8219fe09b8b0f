from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr

from ritz.compute.cluster.cluster import Cluster
from ritz.compute.problems.darcy import Darcy
from ritz.compute.training.buffers.reservoir import Reservoir
from ritz.compute.training.online import Online
from ritz.compute.training.parts.optimiser import AdamW
from ritz.compute.uncertainty.conformal.conformal import Conformal
from ritz.storage import models
from ritz.storage.committer import Committer
from ritz.storage.errors import Refused
from ritz.storage.files import read_file
from ritz.storage.reading import read, resolve
from ritz.storage.shards import write_shard
from ritz.storage.store import Store
from ritz.tasks.checks import check_measuring
from ritz.tasks.documents.dataset import DatasetVersion
from ritz.tasks.errors import InputError
from ritz.tasks.measuring.evaluate import evaluate
from ritz.tasks.measuring.quantify import quantify
from ritz.tasks.measuring.worker import load_model
from ritz.tasks.prediction.predict import predict
from ritz.tasks.report.figures.shown import caption, explanation
from ritz.tasks.report.page import pictures
from ritz.tasks.report.worker import gather
from ritz.tasks.training import worker as train
from tests.documents import finished, origin
from tests.tasks.families import FAMILIES, SAMPLES, Family

SHARD = 10

TRAINING = Online(
    batches_per_sample=1.5,
    batch_size=6,
    buffer=Reservoir(capacity=36),
    watermark=36,
    optimiser=AdamW(learning_rate=2e-2),
    validation=2,
    coarse=0.25,
)

LEVELS = (0.5, 0.9)

RECIPE = {
    "problem": {},
    "data": {"seed": 0, "splits": {}},
    "uncertainty": Conformal(levels=LEVELS).model_dump(mode="json"),
}


class Trained:
    """A family from its samples to a model with bands, in one process and with no cluster."""

    def __init__(self, family: Family, store: Store, measuring: Cluster) -> None:
        self.family, self.store = family, store
        self.split = np.array(["train"] * 12 + ["validate"] * 2 + ["calibrate"] * 3 + ["test"] * 3)[
            np.arange(SAMPLES) % 20
        ]
        self._fill()
        job = train.Fitting(
            identity="one", store=store.url, dataset="data", version="v1", problem=Darcy(), surrogate=family.surrogate,
            training=TRAINING, shards=SAMPLES // SHARD, samples=36, seed=0, dataset_identity=None, channel=None,
        )  # fmt: skip
        pinned = DatasetVersion(name="data", version="v1", snapshot=resolve(self.store, "data").snapshot)
        train.register(store.url, "one", "model", origin(pinned, RECIPE, train.fit(job)))
        self.measured = evaluate.fn(store.url, measuring, "model@v1", "data@v1")
        method = Conformal(levels=LEVELS)
        self.coverage = quantify.fn(store.url, measuring, "model@v1", "data@v1", method).coverage

    def begin(self, name: str, template: xr.Dataset) -> Committer:
        return Committer.ensure(
            self.store, name, template, identity=name, recipe=RECIPE, sample_id=np.arange(SAMPLES), split=self.split,
            shard=SHARD, solvers=("direct",), attrs={"rtol": 1e-8},
        )  # fmt: skip

    def _fill(self) -> None:
        dataset = self.begin("data", self.family.template())
        ledger: dict[str, Any] = {name: np.zeros(SHARD, int) for name in ("iterations", "matvecs", "seconds")}
        ledger |= {"status": ["ok"] * SHARD, "reason": [""] * SHARD, "solver": ["direct"] * SHARD}
        ledger["residual"] = np.full(SHARD, 1e-9)
        with dataset.lock():
            for index in range(SAMPLES // SHARD):
                part = self.family.data.isel(sample=slice(index * SHARD, (index + 1) * SHARD))
                fields = {str(name): field.values for name, field in part.data_vars.items()}
                dataset.commit({index: (write_shard(dataset.fork(), index, fields, ledger), ledger)})
            dataset.publish("all")

    def of(self, role: str, split: str = "test") -> xr.Dataset:
        names = [name for name, field in self.family.data.data_vars.items() if field.attrs["role"] == role]
        return self.family.data[names].isel(sample=np.flatnonzero(self.split == split))


@pytest.fixture(scope="module", params=list(FAMILIES))
def trained(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, measuring: Cluster) -> Trained:
    with pytest.MonkeyPatch.context() as patch:
        # The one thing that needs a cluster: to tell the driver how far the training is.
        patch.setattr(train, "Notifier", lambda _: lambda *_, **__: None)
        return Trained(FAMILIES[request.param](), Store(tmp_path_factory.mktemp(request.param)), measuring)


def test_a_surrogate_learns_and_is_measured(trained: Trained) -> None:
    error = trained.measured.metrics.relative_l2.mean
    assert error < 0.5 * trained.measured.baselines["mean"].relative_l2.mean
    assert trained.measured.baselines["quadratic"].relative_l2.mean < 0.2
    on_mesh = "node" in trained.family.data.dims
    assert (
        ("h1" in trained.measured.metrics.entries())
        == ("spectral" in trained.measured.metrics.entries())
        == (not on_mesh)
    )


def test_a_prediction_has_the_form_of_the_data(trained: Trained) -> None:
    model, bands = load_model(trained.store, "model")
    inputs = {str(name): field.values for name, field in trained.of("input").data_vars.items()}
    predicted, truth = model.predict(inputs), trained.of("output")
    assert bands is not None
    lower, upper = bands.interval(inputs, predicted, 0.9)
    half = {name: 0.5 * (upper[name] - lower[name]) for name in lower}
    assert set(predicted) == set(half) == set(truth.data_vars)
    errors = []
    for name, values in predicted.items():
        assert values.shape == half[name].shape == truth[name].shape
        assert values.dtype == half[name].dtype == np.float32
        assert (half[name] > 0).all()
        errors.append(np.linalg.norm(values - truth[name], axis=None) / np.linalg.norm(truth[name]))
    assert np.mean(errors) < 0.3
    assert trained.coverage["0.9"].measured == pytest.approx(0.9, abs=0.15)


def test_a_report_shows_it_and_says_what_part(trained: Trained) -> None:
    dataset = {"name": "data", "version": "v1", "snapshot": "S", "samples": SAMPLES, "splits": {}}
    record = finished(dataset=dataset, model={"name": "model", "version": "v1", "released": True})
    whole = gather(trained.store, record)
    # One sample and no other figure, to be quick.
    rows: dict[str, Any] = {
        part: {name: values[:1] for name, values in getattr(whole, part).items()}
        for part in ("inputs", "truth", "prediction", "half_width", "centre")
    }
    material = dataclasses.replace(whole, **rows, labels=whole.labels[:1], curve={}, relative_l2=np.empty(0), ledger={})
    drawn = pictures({}, material)
    outputs = list(trained.of("output").data_vars)
    assert list(drawn) == ["samples", "samples_2"][: len(outputs)]
    assert [caption(material, str(name)) for name in outputs] == list(trained.family.shown)
    bars = pictures({"coverage": {key: row.document() for key, row in trained.coverage.items()}}, material)
    lines = "(shaded)" in explanation(material, str(outputs[0]))
    cells, cuts = (
        [name if number == 1 else f"{name}_{number}" for number in range(1, 1 + len(outputs))]
        for name in ("cells", "cut")
    )
    steps = ["over_time"] if trained.coverage["0.9"].by_step else []
    assert list(bars) == [*drawn, "calibration", "covered", *steps, *cells, *([] if lines else cuts)]


def test_inputs_from_a_file_give_outputs_with_names_units_and_places(trained: Trained, tmp_path: Path) -> None:
    source, target = tmp_path / "in.nc", tmp_path / "out.nc"
    trained.of("input").to_netcdf(source, engine="h5netcdf")
    assert predict(trained.store.url, "model", source, target).samples == 9
    found, truth = read_file(target), trained.of("output")
    for name, field in truth.data_vars.items():
        assert found[name].dims == field.dims
        assert found[f"{name}_upper"].dims == ("level", *field.dims)
        assert found[name].attrs["units"] == field.attrs["units"]
    for name, coordinate in trained.family.data.coords.items():
        xr.testing.assert_equal(found[name].variable, coordinate.variable)


def test_a_file_with_other_sizes_is_refused(trained: Trained, tmp_path: Path) -> None:
    given = trained.of("input")
    dim = next(str(dim) for dim in given.dims if dim != "sample")
    given.isel({dim: slice(1, None)}).to_netcdf(tmp_path / "in.nc", engine="h5netcdf")
    # A grid of the same surrogate may be finer, but has to fill the box.
    said = (
        f"its {given.sizes[dim] - 1} points along '{dim}' run"
        if dim in "xyz"
        else f"points along '{dim}'; the model is"
    )
    with pytest.raises(InputError, match=said):
        predict(trained.store.url, "model", tmp_path / "in.nc", tmp_path / "out.nc")


def test_what_the_model_is_not_for_cannot_be_measured_on(trained: Trained) -> None:
    def less(dim: str) -> str:
        trained.begin(f"less-{dim}", trained.family.template().isel({dim: slice(1, None)}))
        return f"less-{dim}@head"

    fixed = trained.family.fixed
    if fixed:
        points = trained.family.data.sizes[fixed]
        with pytest.raises(
            Refused, match=f"has {points - 1} points along '{fixed}'; model model works for {points} alone"
        ):
            check_measuring(trained.store.url, "model", resolve(trained.store, less(fixed)), ("test",))
    if fixed != "node":
        check_measuring(trained.store.url, "model", resolve(trained.store, less("x")), ("test",))


def test_a_mesh_lies_beside_the_card_and_not_in_it(trained: Trained) -> None:
    card = models.read_card(trained.store, "model")
    blob = models.read_file(trained.store, "model", "mesh.safetensors")
    assert (blob is not None) == ("node" in trained.family.data.dims)
    assert "triangle" not in card["grid"]
    assert card["training"]["any_grid"] == (blob is None)
    stored = read(trained.store, "data@v1")
    assert set(trained.family.data.coords) <= set(stored.coords)
