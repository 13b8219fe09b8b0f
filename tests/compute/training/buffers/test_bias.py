"""The biases that the buffers' docstrings state, measured."""

from __future__ import annotations

import numpy as np
import pytest

from ritz.compute.training.buffers.buffer import Buffer, Pace
from ritz.compute.training.buffers.fifo import FIFO
from ritz.compute.training.buffers.firo import FIRO
from ritz.compute.training.buffers.reservoir import Reservoir
from ritz.compute.training.buffers.slots import Slots

NOTHING: dict[str, np.ndarray] = {"a": np.zeros(1)}


def _schedule(buffer: Buffer, pace: Pace, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Return the ids of every step and how many samples had come by then, one sample arriving at a time."""
    rng, slots, drawn, when = np.random.default_rng(seed), Slots(buffer.capacity), list[np.ndarray](), list[int]()
    total = buffer.steps(pace)
    for sample in range(pace.samples):
        while not buffer.put(slots, rng, sample, NOTHING):
            drawn.append(buffer.draw(slots, rng, pace.batch_size)[0])
            when.append(sample)
        while sample + 1 >= pace.watermark and len(drawn) < buffer.due(pace, sample + 1):
            drawn.append(buffer.draw(slots, rng, pace.batch_size)[0])
            when.append(sample + 1)
    while len(drawn) < total:
        drawn.append(buffer.draw(slots, rng, pace.batch_size, total - len(drawn))[0])
        when.append(pace.samples)
    return np.array(drawn), np.array(when)


def test_fifo_learns_in_the_order_of_arrival() -> None:
    drawn, when = _schedule(FIFO(capacity=16), Pace(64, 0.25, 4, 8))
    np.testing.assert_array_equal(drawn.ravel(), np.arange(64))
    assert (when[2:] - drawn[2:].max(axis=1) == 1).all()


def test_firo_holds_a_sample_for_the_watermark_on_average_with_an_exponential_tail() -> None:
    pace = Pace(40_000, 0.25, 4, 100)
    drawn, when = _schedule(FIRO(capacity=128), pace)
    assert np.array_equal(np.sort(drawn.ravel()), np.arange(pace.samples))
    middle = (when > 2000) & (when < 38_000)
    age = (when[:, None] - drawn)[middle].ravel()
    # Little's law: held samples = arrivals a unit of time × time held. 100 to 104 are held; the count of ages is 10⁵.
    assert age.mean() == pytest.approx(102, rel=0.02)
    assert np.mean(age > 3 * 102) == pytest.approx(np.exp(-3), rel=0.1)
    # A batch mixes what came within about the watermark: far less than all, far more than a batch.
    spread = drawn[middle].std(axis=1, ddof=1)
    assert 60 < np.median(spread) < 130


def test_a_draw_from_the_reservoir_is_uniform_over_seen_and_unseen() -> None:
    buffer, rng, slots = Reservoir(capacity=5), np.random.default_rng(1), Slots(5)
    for sample in range(5):
        buffer.put(slots, rng, sample, NOTHING)
    buffer.draw(slots, rng, 3)
    ids, _ = buffer.draw(slots, rng, 20_000)
    counts = np.bincount(ids, minlength=5)
    assert ((counts - 4000) ** 2 / 4000).sum() < 18.5  # 99.9 % of chi-squared with 4 degrees of freedom


def _draws(drain: str, seeds: int = 40) -> np.ndarray:
    pace = Pace(400, 1.0, 4, 20)
    buffer = Reservoir.model_validate({"capacity": 40, "drain": drain})
    counts = [np.bincount(_schedule(buffer, pace, seed)[0].ravel(), minlength=400) for seed in range(seeds)]
    assert {int(count.sum()) for count in counts} == {1600}
    return np.array(counts)


def test_the_reservoir_draws_the_first_samples_most_often_and_the_last_least() -> None:
    counts = _draws("repeat")
    first, middle, last = counts[:, :20].mean(), counts[:, 100:300].mean(), counts[:, -40:].mean()
    assert middle == pytest.approx(4, rel=0.1)
    assert first > 1.3 * middle
    assert last < 0.65 * middle
    assert (counts[:, -40:] == 0).any()
    # What was evicted had been drawn: only what is still held at the end may be unseen, and that came late.
    assert (counts[:, :100] > 0).all()


def test_draining_by_eviction_draws_all_of_the_last_samples() -> None:
    repeated, drained = _draws("repeat"), _draws("evict")
    assert (drained > 0).all()
    assert drained[:, -40:].mean() > repeated[:, -40:].mean() + 0.5
