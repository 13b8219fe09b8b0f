"""Offline training from a published version: what the train worker does, without a cluster."""

from __future__ import annotations

import io
import json
from typing import Any, ClassVar

import numpy as np
import pytest

from ritz.compute.problems.plate import Plate
from ritz.compute.surrogates.coordinate.fully_connected import FullyConnected
from ritz.compute.training.offline import Offline
from ritz.compute.training.parts.stopping import Stopping
from ritz.compute.training.samples.supply import Reading
from ritz.compute.training.training import Training
from ritz.storage.errors import Refused
from ritz.storage.selection import Selection
from ritz.storage.store import Store
from ritz.tasks.checks import check_run, check_training
from ritz.tasks.recipes import load
from ritz.tasks.requests.learning import Train
from ritz.tasks.training import worker as train
from ritz.tasks.training.epochs import passes
from tests.command import TINY
from tests.tasks.made import FAILED, NAME, dying, make, pipeline

OFFLINE = Offline(epochs=4, batch_size=4, coarse=0.0)


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    return make(tmp_path_factory.mktemp("made"))


def _job(store: Store, identity: str, training: Training) -> train.Fitting:
    recipe = pipeline(load(TINY, {"problem.shape": [8, 8]}).problem)
    return train.Fitting(
        identity=identity, store=store.url, dataset=NAME, version="v1", problem=recipe.problem,
        surrogate=FullyConnected(width=8, layers=1), training=training, shards=5, samples=24, seed=3,
        dataset_identity=None, channel=None,
    )  # fmt: skip


def _schedule(store: Store, identity: str) -> np.ndarray:
    found: np.ndarray = np.load(io.BytesIO(store.read(f"fits/{identity}/schedule.npy")))
    return found


@pytest.mark.parametrize("memory", [1, 0], ids=["in-memory", "streamed"])
def test_epochs_over_a_version_leave_failed_samples_out(memory: int, store: Store, quiet: None) -> None:
    training = OFFLINE.model_copy(update={"memory": memory})
    identity = f"epochs-{memory}"
    summary = train.fit(_job(store, identity, training))
    ids = np.sort(Selection(store, f"{NAME}@v1").sample_id)
    assert FAILED not in ids
    assert len(ids) == 23
    schedule = _schedule(store, identity).ravel()
    assert summary.steps == 23 == len(schedule) / 4
    for epoch in range(4):
        np.testing.assert_array_equal(np.sort(schedule[23 * epoch :][:23]), ids)
    assert summary.samples_received == 23
    assert summary.unseen == 0
    assert json.loads(store.read(f"fits/{identity}/history.json"))["received"] == []


def test_a_version_that_is_streamed_gives_the_samples_and_the_same_order_again(store: Store) -> None:
    kept, streamed = (
        passes(store, f"{NAME}@v1", Reading(OFFLINE.seed, mib, OFFLINE.window, OFFLINE.validation)) for mib in (1, 0)
    )
    truth = {int(sample): row for ids, fields in kept.epoch(0) for sample, row in zip(ids, fields["u"], strict=True)}
    orders = []
    for _ in range(2):
        parts = list(streamed.epoch(5))
        for ids, fields in parts:
            for sample, row in zip(ids, fields["u"], strict=True):
                np.testing.assert_array_equal(row, truth[int(sample)])
        orders.append(np.concatenate([ids for ids, _ in parts]))
    np.testing.assert_array_equal(orders[0], orders[1])
    assert sorted(orders[0]) == sorted(truth)
    assert not np.array_equal(orders[0], np.concatenate([ids for ids, _ in streamed.epoch(6)]))
    assert len(streamed.head(5)["u"]) == 5
    for ours, theirs in zip(kept.validation(3), streamed.validation(3), strict=True):
        if isinstance(ours, np.ndarray):
            np.testing.assert_array_equal(ours, theirs)


def test_a_streamed_training_goes_on_from_its_checkpoint_with_the_same_bits(
    store: Store, quiet: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    training = OFFLINE.model_copy(update={"memory": 0, "ema": 0.9})
    train.fit(_job(store, "whole", training))
    monkeypatch.setattr(train, "CHECKPOINT_EVERY", 0.0)
    with dying(monkeypatch, "checkpoint.safetensors", 9):
        train.fit(_job(store, "killed", training))
    train.fit(_job(store, "killed", training))
    np.testing.assert_array_equal(_schedule(store, "killed"), _schedule(store, "whole"))
    models = [store.read(f"fits/{identity}/model.safetensors") for identity in ("killed", "whole")]
    assert models[0] == models[1]


def test_the_last_step_is_told_where_a_training_stops_early_or_was_finished_before(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[dict[str, Any]] = []
    monkeypatch.setattr(train, "Notifier", lambda _: lambda message, last=False: told.append({**message, "last": last}))
    stopping = OFFLINE.model_copy(update={"epochs": 20, "stopping": Stopping(patience=1, least=0.9)})
    summary = train.fit(_job(store, "early", stopping))
    assert summary.steps == summary.stopped
    assert summary.steps < stopping.steps(23)
    assert (told[-1]["step"], told[-1]["last"]) == (summary.steps, True)
    assert told[-1]["loss"] > 0
    assert train.fit(_job(store, "early", stopping)) == summary
    assert told[-1] == {"step": summary.steps, "loss": None, "last": True}


def test_a_run_with_an_offline_recipe_is_refused_and_training_is_not(store: Store) -> None:
    recipe = load(TINY, {"training": {"kind": "offline", "epochs": 5}, "problem.shape": [8, 8]})
    with pytest.raises(Refused, match=r"^training\.kind is 'offline', expected 'online': a run trains while it solves"):
        check_run(recipe, store.url, trains=True)
    check_training(Train(recipe, f"{NAME}@v1").planned(store.url))


@pytest.mark.parametrize(
    ("training", "message"),
    [
        ({"losses": [{"kind": "residual"}], "coarse": 0}, "is of the problem .* whose equations the loss 'residual'"),
        (
            {"optimiser": {"kind": "torch", "name": "Muon"}},
            r"training.optimiser 'torch' does not go with this surrogate",
        ),
    ],
)
def test_what_cannot_be_trained_is_refused_before_any_work(
    training: dict[str, object], message: str, store: Store
) -> None:
    recipe = load(TINY, {"training": {"kind": "offline"} | training, "problem.law": {"kind": "lognormal", "tau": 4.0}})
    with pytest.raises(Refused, match=message):
        check_training(Train(recipe, f"{NAME}@v1").planned(store.url))


class Untensored(Plate):
    """A problem whose equations are for NumPy alone."""

    in_torch: ClassVar[bool] = False


def test_a_problem_without_equations_in_torch_is_refused_before_a_solve(tmp_path: object) -> None:
    given = {"training.losses": ["relative_l2", {"kind": "residual", "weight": 1e-3}], "training.coarse": 0}
    recipe = load("plate", given).model_copy(update={"problem": Untensored()})
    with pytest.raises(Refused, match=r"^training\.losses has 'residual', and problem 'plate' has no `penalty`"):
        check_run(recipe, str(tmp_path), trains=True)
