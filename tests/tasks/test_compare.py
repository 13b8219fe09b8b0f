"""What a comparison plans, and one of its trainings on the worker, without a cluster."""

from __future__ import annotations

import io
import math
from typing import Any

import numpy as np
import pytest

from ritz.compute.surrogates.coordinate.fully_connected import FullyConnected
from ritz.compute.surrogates.model import Model
from ritz.compute.surrogates.network import network
from ritz.compute.surrogates.weights import weights
from ritz.compute.training.offline import Offline
from ritz.compute.training.online import Online
from ritz.compute.training.steps import descent
from ritz.storage.selection import Selection
from ritz.storage.store import Store
from ritz.tasks.comparison import worker as compare
from ritz.tasks.comparison.comparison_record import Clock, ComparisonRecord, TrainedSeed
from ritz.tasks.comparison.gains import rows, sentences
from ritz.tasks.comparison.plan import Arm, Contest, contest
from ritz.tasks.comparison.subset import Chosen
from ritz.tasks.errors import RecipeError
from ritz.tasks.recipes import load
from ritz.tasks.report.sections.compared.curves import along
from ritz.tasks.training import worker as train
from tests.command import TINY
from tests.documents import comparison, seed
from tests.tasks.made import FAILED, NAME, dying, make, pipeline

SPEC = f"{NAME}@v1"


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    return make(tmp_path_factory.mktemp("made"))


def _contest() -> Contest:
    return contest(load(TINY), seeds=3, samples=20, epochs=8, fresh=4)


def test_the_arms_are_equal_in_steps_and_in_solves() -> None:
    found = _contest()
    assert [(arm.name, arm.samples, arm.steps) for arm in found.arms(1000)] == [
        ("offline", 20, 20),
        ("equal_steps", 80, 20),
        ("equal_solves", 20, 20),
    ]
    assert found.arms(70)[1].samples == 70
    for arm in found.arms(1000):
        training = found.training(arm, 7)
        assert (training.steps(arm.samples), training.seed) == (20, 7)
        for field in ("optimiser", "rate", "losses", "batch_size", "coarse", "clip", "augment", "ema", "precision"):
            assert getattr(training, field) == getattr(load(TINY).training, field)
    assert isinstance(found.training(found.arms(99)[0], 0), Offline)
    assert isinstance(found.training(found.arms(99)[2], 0), Online)
    data = found.pipeline.data
    assert found.pipeline.name == "tiny-compare"
    assert 80 <= found.pipeline.train_samples < 80 + data.shard
    assert data.samples % data.shard == 0


def test_by_default_online_at_equal_steps_is_the_recipes_own_training() -> None:
    recipe = load(TINY)
    found = contest(recipe)
    assert (found.samples, found.fresh, len(found.seeds)) == (24, 4, 6)
    assert found.pipeline.train_samples == recipe.train_samples
    assert found.steps == recipe.training.steps(recipe.train_samples)
    offline = contest(load(TINY, {"training": {"kind": "offline", "epochs": 30}}), samples=64)
    assert (offline.epochs, offline.steps) == (30, 240)


def test_more_seeds_go_on_with_the_same_comparison_and_other_sizes_do_not() -> None:
    one = _contest()
    assert contest(load(TINY), seeds=5, samples=20, epochs=8, fresh=4).identity == one.identity
    others = [
        contest(load(TINY), samples=21, epochs=8, fresh=4),
        contest(load(TINY), samples=20, epochs=9, fresh=4),
        contest(load(TINY), samples=20, epochs=8, fresh=5),
        contest(load(TINY, {"surrogate.width": 9}), samples=20, epochs=8, fresh=4),
        contest(load(TINY, {"data.seed": 1}), samples=20, epochs=8, fresh=4),
    ]
    assert len({one.identity, *(other.identity for other in others)}) == 6


def test_the_arm_of_equal_wall_time_uses_the_time_in_which_offline_only_solves() -> None:
    found = _contest()
    # 20 solves of 1 s and then 20 steps of 0.5 s: 30 s. Online steps from the watermark, 16 solves, on.
    arm, clock = found.timed(1.0, 0.5, 1000)
    assert (arm.samples, arm.steps) == (30, 28)
    assert (clock.seconds, clock.begin, clock.could_solve) == (30.0, 16.0, 30)
    # Solving costs next to nothing: all there are, and the steps of offline.
    arm, clock = found.timed(1e-3, 0.5, 70)
    assert (arm.samples, arm.steps) == (70, 20)
    assert clock.could_solve == 10_020
    training = found.training(Arm("equal_time", 30, 28), 0)
    assert training.steps(30) == 28


@pytest.mark.parametrize(
    ("changes", "sizes", "message"),
    [
        ({"training.stopping": {"patience": 3}}, {}, "training.stopping is set, expected none"),
        ({"training.validation": 0}, {}, "training.validation is 0, expected at least 1"),
        (
            {"training": {"kind": "online", "buffer": {"kind": "fifo"}, "watermark": 16}},
            {},
            "training.buffer is 'fifo', expected 'reservoir'",
        ),
        ({}, {"samples": 15}, "--samples 15 is below training.watermark = 16"),
        ({}, {"fresh": 7}, "--samples 13 is below training.watermark = 16"),
        ({}, {"samples": 20, "epochs": 2}, r"batches_per_sample is 0.0625, expected at least 0.125"),
        ({}, {"seeds": 1}, "--seeds 1: expected at least 2"),
        ({}, {"epochs": 1e9}, r"epochs: Input should be less than or equal to 1000000 \(got 1000000000.0\)"),
        ({}, {"samples": 10**9, "epochs": 1e3}, r"samples: Input should be less than or equal to 1000000000"),
        ({"name": "n" * 95}, {}, "name: String should have at most 100 characters"),
    ],
)
def test_what_cannot_be_compared_is_one_error(changes: dict[str, Any], sizes: dict[str, Any], message: str) -> None:
    with pytest.raises(RecipeError, match=message) as caught:
        contest(load(TINY, changes), **sizes)
    assert "\n" not in str(caught.value)


def _chosen(store: Store, samples: int, seed: int) -> Chosen:
    return Chosen(store, SPEC, samples, seed, 2**20, shard=5, validate=3)


def test_a_seed_draws_the_samples_and_the_fewer_are_among_the_more(store: Store) -> None:
    few, more, other = (_chosen(store, n, seed) for n, seed in ((8, 1), (20, 1), (8, 2)))
    assert set(few.ids) < set(more.ids)
    assert set(few.ids) != set(other.ids)
    assert FAILED not in _chosen(store, 23, 1).ids
    with pytest.raises(ValueError, match="samples is 24, expected at most the 23 good training samples"):
        _chosen(store, 24, 1)
    for ours, theirs in zip(few.validation(3)[0], other.validation(3)[0], strict=True):
        assert ours == theirs
    truth = {int(one): row for ids, fields in more.epoch(0) for one, row in zip(ids, fields["u"], strict=True)}
    assert sorted(truth) == sorted(more.ids.tolist())
    blocks = list(more.arrivals(frozenset()))
    assert [len(block) for block in blocks if block.shard] == [5, 5, 5, 5]
    assert sorted(np.concatenate([block.ids for block in blocks[1:]])) == sorted(more.ids)
    assert blocks[0].split.tolist() == ["validate"] * 3
    # A block is a run of neighbours in the order of solving, as a shard is.
    solved = {int(one): place for place, one in enumerate(more.stream)}
    for block in blocks[1:]:
        assert [solved[int(one)] for one in block.ids] == list(range(5 * (block.shard - 1), 5 * block.shard))
        np.testing.assert_array_equal(block.fields["u"], [truth[int(one)] for one in block.ids])
    left = list(more.arrivals(frozenset({0, blocks[1].shard})))
    assert [block.shard for block in left] == [block.shard for block in blocks[2:]]


def _job(store: Store, name: str, arm: Arm, identity: str = "") -> compare.Learning:
    recipe = pipeline(load(TINY, {"problem.shape": [8, 8]}).problem)
    sized = contest(
        recipe.model_copy(update={"surrogate": FullyConnected(width=8, layers=1)}), samples=10, epochs=16, fresh=2
    )
    return compare.Learning(
        store=store.url, folder=f"comparisons/made/{name}", identity=identity or name, arm=arm.name, dataset=SPEC,
        problem=recipe.problem, surrogate=FullyConnected(width=8, layers=1), training=sized.training(arm, 5),
        samples=arm.samples, shard=5,
    )  # fmt: skip


ARMS = (Arm("offline", 10, 20), Arm("equal_steps", 20, 20), Arm("equal_solves", 10, 20))


def test_the_arms_of_a_pair_begin_with_the_same_weights(
    store: Store, quiet: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun: list[dict[str, np.ndarray]] = []
    build = network

    def noted(*arguments: Any) -> Any:
        module = build(*arguments)
        begun.append({name: value.copy() for name, value in weights(module).items()})
        return module

    monkeypatch.setattr(descent, "network", noted)
    results = [compare.learn(_job(store, f"same-{arm.name}", arm)).receipt for arm in ARMS]
    assert len(begun) == 3
    for other in begun[1:]:
        for name, values in begun[0].items():
            np.testing.assert_array_equal(other[name], values)
    assert len({result.first_weights for result in results}) == 1
    assert [(one.steps, one.received, one.samples) for one in results] == [
        (20, 10, 10),
        (20, 20, 20),
        (20, 10, 10),
    ]
    schedules = [np.load(io.BytesIO(store.read(f"comparisons/made/same-{arm.name}/schedule.npy"))) for arm in ARMS]
    assert set(schedules[2].ravel()) <= set(schedules[0].ravel())
    assert len(np.unique(schedules[1])) > 10
    # Only the result stays, and what it says is what the saved model does.
    assert not store.exists("fits/same-offline")
    model = Model.from_bytes(store.read("comparisons/made/same-offline/model.safetensors"))
    chosen = Selection(store, SPEC, splits=("test",))
    fields = chosen.read(np.arange(len(chosen)))
    errors = [
        np.linalg.norm(ours - theirs) / np.linalg.norm(theirs)
        for ours, theirs in zip(model.predict({"a": fields["a"]})["u"], fields["u"], strict=True)
    ]
    assert results[0].test.mean == pytest.approx(np.mean(errors), rel=1e-5)


@pytest.mark.parametrize("arm", ARMS[:2], ids=lambda arm: arm.name)
def test_a_killed_training_goes_on_with_the_same_bits_and_a_finished_one_is_not_done_again(
    arm: Arm, store: Store, quiet: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = compare.learn(_job(store, f"whole-{arm.name}", arm)).receipt
    monkeypatch.setattr(train, "CHECKPOINT_EVERY", 0.0)
    with dying(monkeypatch, "checkpoint.safetensors", 9):
        compare.learn(_job(store, f"killed-{arm.name}", arm))
    gone_on = compare.learn(_job(store, f"killed-{arm.name}", arm)).receipt
    blobs = [store.read(f"comparisons/made/{way}-{arm.name}/model.safetensors") for way in ("killed", "whole")]
    assert blobs[0] == blobs[1]
    assert gone_on.test == whole.test
    monkeypatch.setattr(compare, "kept", lambda *_: pytest.fail("trained again"))
    assert compare.learn(_job(store, f"killed-{arm.name}", arm)).receipt == gone_on


def _record(online: float, offline: float, kind: str = "fno") -> ComparisonRecord:
    def results(error: float) -> tuple[TrainedSeed, ...]:
        return tuple(seed(error * spread, str(spread)) for spread in (1.0, 1.1, 1.2))

    found = {"offline": results(offline)} | {
        name: results(online) for name in ("equal_steps", "equal_solves", "equal_time")
    }
    return comparison(found, recipe={"surrogate": {"kind": kind}})


def test_where_online_is_not_better_it_is_said() -> None:
    better, worse = _record(0.5, 1.0), _record(1.5, 1.0)
    assert rows(better)[0]["gain"] == "+50.0%"
    assert [row["published"] for row in rows(better)] == ["+16%", "–", "–"]
    assert [row["published"] for row in rows(_record(0.5, 1.0, "unet"))] == ["–", "–", "–"]
    assert sentences(better)[0].startswith("at equal steps online is better: +50.0% [+50.0%, +50.0%] over 3 pairs")
    assert sentences(worse)[0].startswith("at equal steps online is NOT better but worse: -50.0%")
    undecided = _record(1.0, 1.0)
    assert sentences(undecided)[1].startswith("at equal solves online is NOT shown to be better: ")
    assert better.gains["equal_steps"].same_first_weights


def test_the_modelled_time_of_a_step_waits_for_its_samples() -> None:
    clock = Clock(seconds=40.0, simulation=2.0, step=0.5, begin=8.0, could_solve=20)
    record = _record(0.5, 1.0).changed(clock=clock, samples=10)
    curve = seed(0.1, "").changed(curve=[{"step": s, "received": r, "validate": 0.1} for s, r in ((1, 4), (10, 20))])
    assert along(record, "offline", curve)["seconds"].tolist() == [20.5, 25.0]
    assert along(record, "equal_steps", curve)["seconds"].tolist() == [8.5, 40.5]
    assert math.isclose(along(record, "equal_steps", curve)["error"][0], 0.1)
