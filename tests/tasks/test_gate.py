"""A gate stops what it is for: real models of a finished run that are spoilt, each with a bound that it misses."""

from __future__ import annotations

import logging
import re
import shutil
from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest

from ritz.compute.cluster.cluster import Cluster
from ritz.compute.evaluation.measured import Measured
from ritz.compute.problems.darcy import Darcy
from ritz.compute.problems.laws import TwoPhase
from ritz.compute.training.offline import Offline
from ritz.compute.uncertainty.conformal.bands import Bands
from ritz.compute.uncertainty.conformal.conformal import Conformal
from ritz.compute.uncertainty.spread.learnt import Learnt
from ritz.storage.committer import Committer
from ritz.storage.datasets import Dataset
from ritz.storage.reading import read, resolve
from ritz.storage.shards import write_shard
from ritz.storage.store import Store
from ritz.tasks.documents import of_model
from ritz.tasks.documents.calibration import Calibration, CoverageRow
from ritz.tasks.documents.dataset import DatasetVersion
from ritz.tasks.documents.records import load as load_record
from ritz.tasks.documents.run import FinishedRun
from ritz.tasks.documents.verdict import Verdict
from ritz.tasks.errors import RecipeError
from ritz.tasks.measuring import calibration_worker as worker
from ritz.tasks.measuring.case import case_of
from ritz.tasks.measuring.evaluate import evaluate
from ritz.tasks.measuring.gate import Gate
from ritz.tasks.measuring.passes import blocks
from ritz.tasks.measuring.quantify import quantify
from ritz.tasks.measuring.release import judge, judged_again
from ritz.tasks.measuring.shifts import solved
from ritz.tasks.parsing.identity import outcome_hash
from ritz.tasks.pipeline import Pipeline
from ritz.tasks.recipes import load
from ritz.tasks.training import worker as train
from tests.command import TINY
from tests.documents import coverage, metrics, origin
from tests.tasks.test_predict import TinyStore

SPEC = "tiny@v1"
LEVELS = (0.5, 0.9)


def halved(store: Store) -> Calibration:
    """Quantify the model by bands that are half as wide as they were calibrated, as workers would do it."""
    case, data = case_of(store.url, SPEC, SPEC)
    learnt = worker.learn(case, Conformal(levels=LEVELS, spread=Learnt()))
    scores = Measured.join(worker.score(one, learnt.scoring).receipt for one in blocks(case, data, "calibrate", 1))
    bands = worker.calibrate(case, learnt.scoring, scores)
    assert isinstance(bands, Bands)
    assert bands.fields is not None
    outputs = {
        name: one.model_copy(update={"points": tuple(tuple(0.5 * factor for factor in row) for row in one.points)})
        for name, one in bands.outputs.items()
    }
    narrow = bands.model_copy(update={"outputs": outputs, "fields": tuple(0.5 * factor for factor in bands.fields)})
    measured = Measured.join(worker.look(one, narrow).receipt for one in blocks(case, data, "test", 1))
    return worker.conclude(case, narrow, learnt.samples, scores.sums, measured, {})


@pytest.fixture(scope="module")
def store(tiny_store: TinyStore, tmp_path_factory: pytest.TempPathFactory) -> Store:
    folder = tmp_path_factory.mktemp("gate") / "store"
    shutil.copytree(tiny_store[0], folder)
    return Store(folder)


@pytest.fixture(scope="module")
def record(store: Store, tiny_store: TinyStore) -> FinishedRun:
    found = load_record(store, tiny_store[1]["run"])
    return FinishedRun.model_validate(found.document())


@pytest.fixture(scope="module")
def learnt(store: Store, measuring: Cluster) -> Calibration:
    """What learnt bands that nothing has spoilt are worth: no bound of these tests stops them."""
    return quantify.fn(store.url, measuring, SPEC, SPEC, Conformal(levels=LEVELS, spread=Learnt()))


def judged(store: Store, record: FinishedRun, gate: Gate, found: Calibration) -> Verdict:
    verdict = judge(store, SPEC, gate, record.metrics, found.coverage, record.baselines, found.shifted)
    assert of_model.verdict(store, SPEC) == verdict
    return verdict


def test_a_model_of_one_epoch_is_stopped(
    store: Store, record: FinishedRun, measuring: Cluster, quiet: None, caplog: pytest.LogCaptureFixture
) -> None:
    pipeline = load(TINY)
    version = resolve(store, SPEC)
    training = Offline(epochs=1, batch_size=8)
    job = train.Fitting(
        identity="hasty", store=store.url, dataset="tiny", version="v1", problem=pipeline.problem,
        surrogate=pipeline.surrogate, training=training, shards=20, samples=96, seed=0, dataset_identity=None,
        channel=None,
    )  # fmt: skip
    summary = train.fit(job)
    assert summary.steps == 12
    dataset = DatasetVersion(name=version.name, version=version.version, snapshot=version.snapshot)
    model = train.register(store.url, "hasty", "hasty", origin(dataset, pipeline.document(), summary)).spec
    measured = evaluate.fn(store.url, measuring, model, SPEC)
    # Half as much again as the error of the whole run, which passes.
    gate = Gate(relative_l2=round(1.5 * record.metrics.relative_l2.mean, 3))
    assert gate.judge(record.metrics, {}, {}).release == "released"
    with caplog.at_level(logging.WARNING, "ritz"):
        verdict = judge(store, model, gate, measured.metrics, {}, measured.baselines)
    [line] = verdict.missed
    said = re.fullmatch(r"mean relative L2 (0\.\d+) is above (0\.\d+) by (0\.\d+)", line)
    assert said is not None
    error, bound, gap = map(float, said.groups())
    assert (error, bound) == (pytest.approx(measured.metrics.relative_l2.mean, rel=1e-3), gate.relative_l2)
    assert gap == pytest.approx(error - bound, rel=0.05)
    assert f"gate: hasty@v1 is not released: {line}" in caplog.text


def test_halved_bands_are_stopped(store: Store, record: FinishedRun, learnt: Calibration) -> None:
    gate = Gate(coverage=0.1, fields=0.6)
    assert judged(store, record, gate, learnt).release == "released"
    found = halved(store)
    verdict = judged(store, record, gate, found)
    points, fields = verdict.missed
    row = found.coverage["0.9"]
    assert row.high is not None
    assert row.fields is not None
    gap = 100 * (0.8 - row.high)
    assert points == (
        f"90 % bands cover {row.text()}, further than 10.0% from nominal by at least {gap:.1f} percentage points"
    )
    gap = 100 * (0.6 - row.fields.high)
    assert fields == (
        f"90 % bands around whole fields hold {row.fields.text()}, below 60.0% by at least {gap:.1f} percentage points"
    )


def test_bands_that_were_calibrated_on_another_law_are_stopped(
    store: Store, record: FinishedRun, measuring: Cluster, learnt: Calibration
) -> None:
    gate = Gate(coverage=0.05)
    assert judged(store, record, gate, learnt).release == "released"
    mixed(store)
    found = quantify.fn(store.url, measuring, SPEC, "mixed@v1", Conformal(levels=LEVELS, spread=Learnt()))
    row = found.coverage["0.9"]
    assert row.high is not None
    [line] = judged(store, record, gate, found).missed
    gap = 100 * (0.85 - row.high)
    assert line.startswith("90 % bands cover ")
    assert line.endswith(f", further than 5.0% from nominal by at least {gap:.1f} percentage points")


def mixed(store: Store) -> None:
    """Make the dataset of the run again, where another law gave the split ``calibrate``: two phases."""
    before = Dataset.open(store, "tiny").at("v1")
    data = read(store, SPEC).load()
    problem = load(TINY).problem
    assert isinstance(problem, Darcy)
    rows = np.flatnonzero(data["split"].values == "calibrate")
    inputs, truth = solved(problem.model_copy(update={"law": TwoPhase()}), 1, 1e-8, len(rows))
    fields = {name: data[name].values for name in ("a", "u")}
    for name, values in {**inputs, **truth}.items():
        fields[name][rows] = values
    dataset = Committer.ensure(
        store,
        "mixed",
        problem.template(160),
        identity="mixed",
        recipe=before.recipe,
        sample_id=data["sample_id"].values,
        split=data["split"].values,
        shard=8,
        solvers=("direct",),
        attrs={"rtol": 1e-8},
    )
    ledger: dict[str, Any] = {
        "status": ["ok"] * 8, "reason": [""] * 8, "residual": np.full(8, 1e-9), "iterations": [1] * 8,
        "matvecs": [1] * 8, "seconds": [0.0] * 8, "solver": ["direct"] * 8,
    }  # fmt: skip
    with dataset.lock():
        fork = dataset.fork()
        for index in range(20):
            part = {name: values[8 * index :][:8] for name, values in fields.items()}
            dataset.commit({index: (write_shard(fork, index, part, ledger), ledger)})
        dataset.publish("all")


def test_a_model_that_is_worse_than_a_ridge_is_stopped(store: Store, record: FinishedRun) -> None:
    pipeline = load(TINY, {"gate.baselines": True})
    again = judged_again(store.url, record, pipeline)
    assert again.model.release == "missed"
    error, ridge = record.metrics.relative_l2.mean, record.baselines["linear"].relative_l2.mean
    assert ridge < error
    line = f"baseline 'linear' is better: mean relative L2 {ridge:.4g}, below {error:.4g} by {error - ridge:.2g}"
    assert line in again.model.missed
    assert all(re.search(r" by \d", one) for one in again.model.missed)


def row(**entries: Any) -> Mapping[str, CoverageRow]:
    return {"0.9": CoverageRow.model_validate({"nominal": 0.9, "measured": 0.9, "width": 1.0} | entries)}


@pytest.mark.parametrize(
    ("zones", "missed"),
    [
        ([[0.90, 0.88, 0.92], [0.80, 0.77, 0.83]], ""),
        (
            [[0.90, 0.88, 0.92], [0.75, 0.72, 0.78], [0.79, 0.70, 0.88]],
            "90 % bands cover 75.0% [72.0, 78.0] in zone 2 of 3, further than 8.0% below nominal by at least 4.0 "
            "percentage points",
        ),
        (None, "zones of 90 % bands were not measured, asked for: at most 8.0% below nominal"),
    ],
)
def test_a_gate_bounds_the_worst_zone_at_its_favourable_end(zones: list[list[float]] | None, missed: str) -> None:
    verdict = Gate(zone=0.08).judge(metrics(1.0), row(by_zone=zones), {})
    assert verdict.missed == ((missed,) if missed else ())


@pytest.mark.parametrize(
    ("ratio", "missed"),
    [
        (0.2, ""),
        (0.25, "90 % bands are 0.25 standard deviations of the output wide, above 0.2 by 0.05"),
        (None, "the width of 90 % bands in deviations of the output was not measured, asked for: 0.2"),
    ],
)
def test_a_gate_bounds_the_width_in_deviations_of_the_output(ratio: float | None, missed: str) -> None:
    verdict = Gate(width=0.2).judge(metrics(1.0), row(width_over_sd=ratio), {})
    assert verdict.missed == ((missed,) if missed else ())
    [lost] = Gate(width=0.2).judge(metrics(1.0), coverage(0.5, 0.5), {}).missed
    assert "not measured" in lost


def test_the_width_is_measured_in_deviations_of_the_truth(store: Store, learnt: Calibration) -> None:
    data = read(store, SPEC)
    truth = data["u"].values[data["split"].values == "test"]
    for found in learnt.coverage.values():
        assert found.width_over_sd == pytest.approx(found.width / truth.std(dtype=float))


def test_bounds_that_came_later_change_the_identity_only_where_they_are_set() -> None:
    plain, bound = Pipeline(name="darcy"), Pipeline(name="darcy", gate=Gate(zone=0.08, width=0.2))
    assert plain.identity != bound.identity
    assert outcome_hash(plain.document()) == outcome_hash(bound.document())
    for name in ("zone", "width"):
        with pytest.raises(RecipeError, match=rf"gate\.{name} is measured at 90 %: expected 0.9 among"):
            load(TINY, {"uncertainty.levels": [0.5], f"gate.{name}": 0.2})
