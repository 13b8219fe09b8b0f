from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
import xarray as xr
from pydantic import ValidationError

from ritz.compute.surrogates.spectral.fno import FNO
from ritz.compute.training.buffers.buffer import Buffer
from ritz.compute.training.buffers.fifo import FIFO
from ritz.compute.training.buffers.firo import FIRO
from ritz.compute.training.buffers.reservoir import Reservoir
from ritz.compute.training.online import Online
from ritz.compute.training.parts.optimiser import AdamW, TorchOptimiser
from ritz.compute.training.samples.block import Block
from ritz.compute.training.surroundings import Surroundings
from ritz.compute.training.trained import Trained

from .conftest import SHARD, Samples

TINY = FNO(modes=4, width=6, layers=2)
ONLINE = Online(
    batches_per_sample=1.4,
    batch_size=3,
    buffer=Reservoir(capacity=8),
    watermark=5,
    optimiser=AdamW(learning_rate=1e-2),
    validation=4,
    seed=3,
)
TRAIN = 30


def _fit(online: Online, template: xr.Dataset, samples: Samples, **options: Any) -> Trained:
    source = samples.source(template, options.pop("arrivals", None), TRAIN)
    return online.fit(TINY, source, Surroundings(**options))


@pytest.fixture
def fit(template: xr.Dataset, samples: Samples) -> Trained:
    return _fit(ONLINE, template, samples)


def test_training_learns(template: xr.Dataset, samples: Samples) -> None:
    online = ONLINE.model_copy(update={"batches_per_sample": 10, "coarse": 0.3})
    fit = _fit(online, template, samples)
    first, last = fit.curve[0], fit.curve[-1]
    assert last.validate is not None
    assert last.validate < 0.5 * first.loss
    assert last.step == 300


def test_the_schedule_holds_every_step_and_only_training_samples(fit: Trained, samples: Samples) -> None:
    assert fit.schedule.shape == (42, 3)
    assert fit.schedule.dtype == np.int64
    assert set(samples.split[fit.schedule.ravel()]) == {"train"}
    assert sorted(fit.received) == list(range(10))
    assert [record.step for record in fit.curve] == list(range(1, 43))
    assert all(record.validate is not None for record in fit.curve if record.step % 2 == 0)


def test_samples_that_arrive_are_forecast_before_they_are_learnt_from(fit: Trained, samples: Samples) -> None:
    ids, steps, errors = (fit.forecasts[name] for name in ("ids", "steps", "errors"))
    assert len(ids) == len(set(ids.tolist())) > 20
    assert set(samples.split[ids]) == {"train"}
    assert np.all(np.diff(steps) >= 0)
    for one, step in zip(ids, steps, strict=True):
        assert step > 0
        assert one not in fit.schedule[:step]
    assert np.all(np.isfinite(errors))
    assert errors[-6:].mean() < errors[:6].mean()


def test_a_truth_that_is_zero_is_not_forecast(template: xr.Dataset, samples: Samples) -> None:
    samples.fields["u"][20] = 0
    fit = _fit(ONLINE, template, samples)
    assert {21, 22} <= set(fit.forecasts["ids"].tolist())
    assert 20 not in fit.forecasts["ids"]
    samples.fields["u"][20:24] = 0
    fit = _fit(ONLINE, template, samples)
    assert not {20, 21, 22} & set(fit.forecasts["ids"].tolist())


def test_a_step_uses_only_samples_that_had_arrived(fit: Trained) -> None:
    for step, ids in enumerate(fit.schedule, start=1):
        arrived = fit.curve[step - 1].received // 3
        assert ids.max() < arrived * SHARD
        # A step is due only once the samples received allow it.
        assert step <= math.floor(1.4 * fit.curve[step - 1].received)


@pytest.mark.parametrize("ratio", [0.5, 1.0, 1.4, 2.3])
def test_the_limiter_does_every_due_step_before_it_takes_a_block(
    ratio: float, template: xr.Dataset, samples: Samples
) -> None:
    steps: list[int] = []
    asked: list[int] = []

    def arrivals(received: frozenset[int]) -> Iterator[Block]:
        for block in samples.arrivals()(received):
            asked.append(steps[-1] if steps else 0)
            yield block
        asked.append(steps[-1])

    online = ONLINE.model_copy(update={"batches_per_sample": ratio, "buffer": Reservoir(capacity=30)})
    fit = _fit(online, template, samples, arrivals=arrivals, progress=lambda report: steps.append(report.step))
    received = 3 * np.arange(11)
    # 10 · 2.3 is 23, not 22: the count must not suffer from rounding.
    due = [math.floor(round(ratio * n, 6)) if n >= ONLINE.watermark else 0 for n in received]
    assert asked == due
    assert len(fit.schedule) == round(ratio * TRAIN)


@pytest.mark.parametrize(
    ("buffer", "due"),
    [
        (Reservoir(capacity=30), lambda taken: taken * 1.5),
        (Reservoir(capacity=12, drain="evict"), lambda taken: taken * (45 - 4) / 30),
        (FIFO(capacity=30), lambda taken: taken / 3),
        (FIRO(capacity=30), lambda taken: (taken - 5) / 3),
    ],
    ids=["reservoir", "drained", "fifo", "firo"],
)
def test_a_slow_solver_does_not_make_the_trainer_repeat_what_it_has(
    buffer: Buffer, due: Callable[[float], float], template: xr.Dataset, samples: Samples
) -> None:
    """While a block is awaited, however long, there are as many steps as are due and no more."""
    seen: list[tuple[int, int]] = []
    state = {"step": 0, "received": 0}

    def arrivals(received: frozenset[int]) -> Iterator[Block]:
        for block in samples.arrivals()(received):
            seen.append((state["received"], state["step"]))
            yield block

    ratio = 1 / 3 if buffer.reads_once else 1.5
    online = Online.model_validate({**dict(ONLINE), "buffer": buffer, "batches_per_sample": ratio})
    fit = _fit(
        online,
        template,
        samples,
        arrivals=arrivals,
        progress=lambda one: state.update(step=one.step, received=one.received),
    )
    assert [steps for _, steps in seen] == [
        max(0, math.floor(due(taken) + 1e-9)) if taken >= 5 else 0 for taken, _ in seen
    ]
    assert len(fit.schedule) == (10 if buffer.reads_once else 45)
    assert fit.unseen == 0 or buffer == Reservoir(capacity=30)
    if buffer.reads_once:
        assert sorted(fit.schedule.ravel()) == sorted(np.flatnonzero(samples.split == "train"))


def test_the_rest_is_done_after_the_last_block(template: xr.Dataset, samples: Samples) -> None:
    fit = _fit(ONLINE, template, samples, arrivals=samples.arrivals([0, 1, 2, 3]))
    assert len(fit.schedule) == 42
    assert fit.schedule.max() < 4 * SHARD


def test_training_begins_late_when_fewer_samples_arrive_than_the_watermark(
    template: xr.Dataset, samples: Samples
) -> None:
    fit = _fit(ONLINE, template, samples, arrivals=samples.arrivals([2]))
    assert len(fit.schedule) == 42
    assert set(fit.schedule.ravel()) == {8, 9, 10}


def test_a_buffer_full_of_unseen_samples_makes_steps_due_early(template: xr.Dataset, samples: Samples) -> None:
    online = ONLINE.model_copy(update={"batches_per_sample": 0.6, "batch_size": 2, "buffer": Reservoir(capacity=5)})
    fit = _fit(online, template, samples)
    assert len(fit.schedule) == 18
    assert sorted(fit.received) == list(range(10))


def test_a_repeated_shard_is_dropped(template: xr.Dataset, samples: Samples, fit: Trained) -> None:
    again = _fit(ONLINE, template, samples, arrivals=samples.arrivals([0, 0, 1, 0, 2, 1, *range(2, 10), 9]))
    np.testing.assert_array_equal(again.schedule, fit.schedule)
    assert again.model.to_bytes() == fit.model.to_bytes()


def test_the_schedule_depends_on_the_order_of_arrival_and_the_seed(
    template: xr.Dataset, samples: Samples, fit: Trained
) -> None:
    np.testing.assert_array_equal(_fit(ONLINE, template, samples).schedule, fit.schedule)
    other_order = _fit(ONLINE, template, samples, arrivals=samples.arrivals(list(range(9, -1, -1))))
    other_seed = _fit(ONLINE.model_copy(update={"seed": 4}), template, samples)
    assert not np.array_equal(other_order.schedule, fit.schedule)
    assert not np.array_equal(other_seed.schedule, fit.schedule)


def test_normalisation_comes_from_the_samples_at_the_watermark(fit: Trained, samples: Samples) -> None:
    at_watermark = [sample for sample in range(8) if samples.split[sample] == "train"]
    logs = np.log(samples.fields["a"][at_watermark].astype(np.float64))
    assert fit.model.normalisation.inputs[0].mean == pytest.approx(logs.mean(), abs=1e-6)
    assert fit.model.normalisation.inputs[0].scale == pytest.approx(logs.std(), rel=1e-6)


def test_the_caller_keeps_its_random_numbers(template: xr.Dataset, samples: Samples) -> None:
    import torch

    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    _fit(ONLINE, template, samples)
    assert torch.equal(torch.rand(3), expected)


def test_no_training_sample_is_an_error(template: xr.Dataset, samples: Samples) -> None:
    with pytest.raises(ValueError, match="no training sample arrived in 0 blocks"):
        _fit(ONLINE, template, samples, arrivals=samples.arrivals([]))


def test_a_loss_that_is_not_finite_stops_the_training(template: xr.Dataset, samples: Samples) -> None:
    samples.fields["u"][20:24] = np.inf
    with pytest.raises(FloatingPointError, match=r"the loss of step \d+ is nan at a learning rate of"):
        _fit(ONLINE, template, samples)


def test_a_validation_error_that_is_not_finite_stops_the_training(template: xr.Dataset, samples: Samples) -> None:
    """Before a checkpoint, which cannot hold it."""
    optimiser = TorchOptimiser(name="SGD", settings={"lr": 1e30})
    wild = ONLINE.model_copy(update={"optimiser": optimiser, "validation": 4, "batches_per_sample": 1})
    with pytest.raises(
        FloatingPointError, match=r"the validation error after step 1 is nan .*: take a smaller learning"
    ):
        _fit(wild, template, samples, save_every_s=0.0)


def test_a_watermark_above_the_reservoir_is_refused() -> None:
    with pytest.raises(ValidationError, match=r"watermark is 9, expected at most buffer\.capacity, 8"):
        Online(buffer=Reservoir(capacity=8), watermark=9)
