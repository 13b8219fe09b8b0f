"""A fitted surrogate on the train worker, without a cluster: kept, registered, measured, audited, done again."""

from __future__ import annotations

import io
import json
from dataclasses import replace
from typing import ClassVar, Literal

import numpy as np
import pytest
import torch

from ritz.compute.cluster.cluster import Cluster
from ritz.compute.fields.errors import relative_l2
from ritz.compute.surrogates.fitted.mean import Mean
from ritz.compute.surrogates.fitted.pca_ridge import PCARidge
from ritz.compute.surrogates.spectral.fno import FNO
from ritz.compute.training.fit import Fit
from ritz.compute.uncertainty.catalogue import uncertainty
from ritz.storage import models
from ritz.storage.errors import Refused
from ritz.storage.reading import read, resolve
from ritz.storage.selection import Selection
from ritz.storage.store import Store
from ritz.tasks.auditing import model_files
from ritz.tasks.checks import check_run, check_training
from ritz.tasks.documents.dataset import DatasetVersion
from ritz.tasks.errors import RecipeError
from ritz.tasks.measuring.evaluate import evaluate
from ritz.tasks.measuring.quantify import quantify
from ritz.tasks.measuring.split_fields import load as fields
from ritz.tasks.measuring.worker import load_model
from ritz.tasks.recipes import load
from ritz.tasks.requests.learning import Train
from ritz.tasks.training import worker as train
from ritz.tasks.training.replay_worker import done_again, opened
from ritz.tasks.views.measures import unfit
from tests.command import TINY
from tests.documents import origin
from tests.tasks.made import FAILED, NAME, make, pipeline

FITTED = {"surrogate": "pca_ridge", "training": "fit", "problem.shape": [8, 8]}


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    return make(tmp_path_factory.mktemp("made"))


@pytest.fixture
def job(store: Store) -> train.Fitting:
    recipe = pipeline(load(TINY, {"problem.shape": [8, 8]}).problem)
    return train.Fitting(
        identity="fitted", store=store.url, dataset=NAME, version="v1", problem=recipe.problem, surrogate=PCARidge(),
        training=Fit(), shards=5, samples=24, seed=3, dataset_identity=None, channel=None,
    )  # fmt: skip


def test_a_fit_becomes_a_model_that_is_measured_audited_and_done_again(
    store: Store, job: train.Fitting, measuring: Cluster, quiet: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    summary = train.fit(job)
    assert (summary.steps, summary.samples_received, summary.unseen, summary.best) == (1, 23, 0, None)
    assert summary.parameters > 500
    [schedule] = np.load(io.BytesIO(store.read("fits/fitted/schedule.npy")))
    ids = Selection(store, f"{NAME}@v1").sample_id
    assert sorted(schedule) == sorted(ids)
    assert FAILED not in schedule
    # What is finished is taken as it is.
    with monkeypatch.context() as patched:
        patched.setattr(PCARidge, "learn", None)
        assert train.fit(job) == summary
    version = resolve(store, f"{NAME}@v1")
    recipe = pipeline(job.problem).document() | {"surrogate": {"kind": "pca_ridge"}, "training": {"kind": "fit"}}
    dataset = DatasetVersion(name=version.name, version=version.version, snapshot=version.snapshot)
    made = origin(dataset, recipe, summary)
    model = train.register(store.url, "fitted", NAME, made)
    assert train.register(store.url, "fitted", NAME, made) == model
    evaluated = evaluate.fn(store.url, measuring, f"{NAME}@v1", f"{NAME}@v1")
    linear = evaluated.baselines["linear"].relative_l2.mean
    # The same regression, of the same samples in another order.
    assert evaluated.metrics.relative_l2.mean == pytest.approx(linear, rel=1e-3)
    largest = [sample.relative_l2 for sample in evaluated.worst]
    assert largest == sorted(evaluated.relative_l2, reverse=True)[:10]
    by_id = dict(zip(evaluated.sample_ids, evaluated.relative_l2, strict=True))
    assert [by_id[sample.id] for sample in evaluated.worst] == largest
    itself = evaluated.truth
    assert itself is not None
    assert itself.labels.known
    assert 0 < (itself.labels.max or 0) < 1e-6
    assert itself.discretisation.known
    assert 1e-4 < (itself.discretisation.mean or 0) < 0.2
    assert models.read_card(store, f"{NAME}@v1")["truth"] == itself.document()
    method = uncertainty({"kind": "conformal", "levels": [0.5]})
    coverage = quantify.fn(store.url, measuring, f"{NAME}@v1", f"{NAME}@v1", method).coverage["0.5"].measured
    loaded, bands = load_model(store, f"{NAME}@v1")
    assert loaded.surrogate == PCARidge()
    assert bands is not None
    inputs, truth = fields(read(store, f"{NAME}@v1"), "test")
    prediction = loaded.predict(inputs)
    assert np.mean(relative_l2(prediction["u"], truth["u"])) == pytest.approx(evaluated.metrics.relative_l2.mean)
    lower, upper = (ends["u"] for ends in bands.interval(inputs, prediction, 0.5))
    assert np.mean((lower <= truth["u"]) & (truth["u"] <= upper)) == pytest.approx(coverage, abs=0.01)
    assert model_files.audit(store.url, f"{NAME}@v1").clean
    found = done_again(opened(store, f"{NAME}@v1"))
    assert (found.agrees, found.equal, found.steps, found.tensors) == (True, True, 1, 6)
    assert json.dumps(found.document())
    assert models.read_card(store, f"{NAME}@v1")["training"]["any_grid"] is False


class DrawingRidge(PCARidge):
    """Draws around its answer, by a tenth of the deviation of the output."""

    kind: Literal["drawing_ridge"] = "drawing_ridge"  # type: ignore[assignment]  # a kind of its own
    stochastic: ClassVar[bool] = True

    def sample(
        self, module: torch.nn.Module, x: torch.Tensor, members: int, generator: torch.Generator
    ) -> torch.Tensor:
        mean = module(x)
        return mean + 0.1 * torch.randn((members, *mean.shape), generator=generator)


def test_the_distribution_of_a_surrogate_that_draws_is_measured_and_of_any_other_the_evaluation_says_why_not(
    store: Store, job: train.Fitting, measuring: Cluster, quiet: None
) -> None:
    drawing = replace(job, identity="drawing", surrogate=DrawingRidge())
    summary = train.fit(drawing)
    version = resolve(store, f"{NAME}@v1")
    recipe = pipeline(job.problem).document() | {"training": {"kind": "fit"}}
    dataset = DatasetVersion(name=version.name, version=version.version, snapshot=version.snapshot)
    train.register(store.url, "drawing", "drawn", origin(dataset, recipe, summary))
    found = evaluate.fn(store.url, measuring, "drawn@v1", f"{NAME}@v1", surrogate=DrawingRidge())
    measured = found.metrics.document()
    assert {"crps", "energy", "ranks"}.isdisjoint(found.unfit)
    assert len(measured["ranks"]) == 10
    assert sum(one["mean"] for one in measured["ranks"].values()) == pytest.approx(1)
    for kind, part in (("crps", np.abs), ("energy", np.square)):
        assert set(measured[kind]) == {"draws", "prediction", "climatology"}
        assert measured[kind]["draws"]["mean"] < measured[kind]["climatology"]["mean"]
        loaded, _ = load_model(store, "drawn@v1", DrawingRidge())
        inputs, truth = fields(read(store, f"{NAME}@v1"), "test")
        error = part(loaded.predict(inputs)["u"].astype(np.float64) - truth["u"]).mean(axis=(1, 2))
        ratio = (np.sqrt(error) if kind == "energy" else error) / found.by_sample[kind]["prediction"]
        np.testing.assert_allclose(ratio, ratio[0], rtol=1e-5)
    assert "crps" not in found.baselines["linear"].document()
    certain = evaluate.fn(store.url, measuring, f"{NAME}@v1", f"{NAME}@v1")
    assert certain.unfit["crps"] == "the surrogate gives no draws"
    [sentence] = [one for one in unfit(certain.unfit) if "draws" in one]
    assert sentence.startswith("No CRPS, in deviations; energy score, in deviations; share of points by rank")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"surrogate": "pca_ridge"}, "training.kind is 'online' with the surrogate 'pca_ridge', expected 'fit'"),
        (
            {"surrogate": "mean", "training": "offline"},
            "training.kind is 'offline' with the surrogate 'mean', expected",
        ),
        ({"training": "fit"}, "training.kind is 'fit' with the surrogate 'fno', expected 'online' or 'offline'"),
    ],
)
def test_a_wrong_pair_is_refused_when_the_recipe_is_read(changes: dict[str, str], message: str) -> None:
    with pytest.raises(RecipeError, match=message) as caught:
        load(TINY, changes)
    assert "\n" not in str(caught.value)


def test_a_run_refuses_a_fit_and_training_takes_it(store: Store) -> None:
    recipe = load(TINY, FITTED)
    with pytest.raises(Refused, match=r"^training\.kind is 'fit', expected 'online': a run trains while it solves"):
        check_run(recipe, store.url, trains=True)
    check_training(Train(recipe, f"{NAME}@v1").planned(store.url))


def test_a_fit_is_no_arm_of_a_comparison() -> None:
    assert Fit().unpaired() == "training.kind is 'fit', expected 'online' or 'offline': there are no steps to compare"
    assert (Fit().unfit(Mean()), bool(Fit().unfit(FNO()))) == ("", True)
