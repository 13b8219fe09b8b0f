"""The members of an ensemble on the train worker, without a cluster: killed, gone on with, joined, done again."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from pydantic import ValidationError

from ritz.compute.surrogates.ensemble.ensemble import Ensemble
from ritz.compute.surrogates.model import Model
from ritz.compute.surrogates.spectral.fno import FNO
from ritz.compute.training.online import Online
from ritz.storage.datasets import Dataset
from ritz.storage.store import Store
from ritz.tasks.comparison.plan import contest
from ritz.tasks.documents.dataset import DatasetVersion
from ritz.tasks.errors import RecipeError
from ritz.tasks.pipeline import Pipeline
from ritz.tasks.recipes import load
from ritz.tasks.training import worker as train
from ritz.tasks.training.members_worker import Joining, further, join, member_place
from ritz.tasks.training.replay_worker import done_again, opened
from tests.command import TINY
from tests.documents import origin
from tests.tasks.made import NAME, dying, make, pipeline

ENSEMBLE = Ensemble(member=FNO(modes=4, width=4, layers=1), size=3)
SMALL: dict[str, Any] = {"surrogate": ENSEMBLE.model_dump(mode="json"), "problem.shape": [8, 8]}


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    return make(tmp_path_factory.mktemp("made"))


def _first(store: Store, identity: str) -> train.Fitting:
    recipe = pipeline(load(TINY, {"problem.shape": [8, 8]}).problem)
    training = Online(watermark=8, batch_size=4, batches_per_sample=0.5, seed=5)
    return train.Fitting(
        identity=member_place(identity, 0), store=store.url, dataset=NAME, version="v1", problem=recipe.problem,
        surrogate=ENSEMBLE.learner, training=training, shards=5, samples=24, seed=3, dataset_identity=None,
        channel=None,
    )  # fmt: skip


def _jobs(store: Store, identity: str) -> list[train.Fitting]:
    first = _first(store, identity)
    return [first, *(further(first, identity, number, "v1") for number in (1, 2))]


def test_a_killed_member_goes_on_from_its_own_checkpoint_and_the_others_are_not_done_again(
    store: Store, quiet: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole, killed = _jobs(store, "whole"), _jobs(store, "killed")
    for job in whole:
        train.fit(job)
    monkeypatch.setattr(train, "CHECKPOINT_EVERY", 0.0)
    train.fit(killed[0])
    train.fit(killed[1])
    with dying(monkeypatch, "checkpoint.safetensors", 4):
        train.fit(killed[2])
    kept = store.read(f"fits/{killed[1].identity}/checkpoint.safetensors")
    assert store.exists(f"fits/{killed[2].identity}/checkpoint.safetensors")
    assert not store.exists(f"fits/{killed[2].identity}/model.safetensors")
    for job in killed:
        train.fit(job)
    assert store.read(f"fits/{killed[1].identity}/checkpoint.safetensors") == kept
    summaries = [join(Joining(jobs[0].identity.partition("/")[0], ENSEMBLE, tuple(jobs))) for jobs in (whole, killed)]
    blobs = [store.read(f"fits/{identity}/model.safetensors") for identity in ("whole", "killed")]
    assert blobs[0] == blobs[1]
    summary = summaries[0]
    assert [(one.seed, one.batches, one.steps) for one in summary.members or ()] == [
        (5, "version", 12), (6, "version", 12), (7, "version", 12),
    ]  # fmt: skip
    assert "seeds 5, 6, 7: they differ in their first weights" in summary.differences()
    assert summary.parameters == Model.from_bytes(blobs[0]).size
    assert summary.seconds == pytest.approx(sum(one.seconds for one in summary.members or ()))
    # What is joined already is not joined again.
    assert join(Joining("whole", ENSEMBLE, tuple(whole))) == summary


def test_the_members_are_those_that_were_trained_and_the_first_is_done_again_bit_for_bit(
    store: Store, quiet: None
) -> None:
    jobs = _jobs(store, "again")
    for job in jobs:
        train.fit(job)
    summary = join(Joining("again", ENSEMBLE, tuple(jobs)))
    model = Model.from_bytes(store.read("fits/again/model.safetensors"))
    alone = [Model.from_bytes(store.read(f"fits/{job.identity}/model.safetensors")) for job in jobs]
    given = {"a": np.exp(np.random.default_rng(0).standard_normal((3, 8, 8))).astype(np.float32)}
    each = model.members(given)["u"]
    for number, one in enumerate(alone):
        np.testing.assert_allclose(each[number], one.predict(given)["u"], rtol=1e-4, atol=1e-6)
    assert np.abs(each[0] - each[1]).max() > 1e-4
    recipe = pipeline(load(TINY, {"problem.shape": [8, 8]}).problem)
    recipe = recipe.model_copy(update={"training": jobs[0].training, "surrogate": ENSEMBLE})
    snapshot = Dataset.open(store, NAME).versions()[0].snapshot
    made = origin(DatasetVersion(name=NAME, version="v1", snapshot=snapshot), recipe.document(), summary)
    spec = train.register(store.url, "again", "again", made).spec
    assert done_again(opened(store, spec)).equal


def test_the_first_on_the_stream_has_the_order_of_variables_that_the_others_take(store: Store) -> None:
    streamed = replace(_first(store, "streamed"), version=None, dataset_identity="x", channel="c")
    other = further(streamed, "streamed", 1, "v2")
    assert (other.version, other.dataset_identity, other.channel) == ("v2", None, None)
    assert other.variables == ("a", "u")
    assert further(_first(store, "streamed"), "streamed", 1, "v1").variables is None


def test_ranks_and_comparisons_of_ensembles_are_refused() -> None:
    with pytest.raises(RecipeError, match=r"training\.ranks is 2 with the surrogate 'ensemble', expected 1"):
        load(TINY, SMALL | {"training.ranks": 2})
    with pytest.raises(RecipeError, match=r"surrogate\.kind is 'ensemble', expected a network"):
        contest(load(TINY, SMALL))
    with pytest.raises(ValidationError, match=r"training\.kind is 'fit' with the surrogate 'fno'"):
        Pipeline.model_validate({"name": "x", "surrogate": ENSEMBLE, "training": "fit"})
