"""Every buffer against a simple model of it: what is in it, what may leave, what is drawn how often."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ritz.compute.training.buffers.buffer import Buffer, Pace
from ritz.compute.training.buffers.fifo import FIFO
from ritz.compute.training.buffers.firo import FIRO
from ritz.compute.training.buffers.reservoir import Reservoir
from ritz.compute.training.buffers.slots import Slots

BUFFERS = [FIFO, FIRO, Reservoir]


def _sample(number: int) -> dict[str, np.ndarray]:
    return {"a": np.full((2, 2), number), "u": np.full(3, -number)}


def _filled(buffer: Buffer, rng: np.random.Generator, ids: range) -> Slots:
    slots = Slots(buffer.capacity)
    for sample in ids:
        assert buffer.put(slots, rng, sample, _sample(sample))
    return slots


@pytest.mark.parametrize("kind", BUFFERS)
@settings(deadline=None, max_examples=60)
@given(
    capacity=st.integers(1, 9),
    actions=st.lists(st.one_of(st.just("put"), st.integers(1, 5)), max_size=60),
    seed=st.integers(0, 2**32 - 1),
)
def test_nothing_is_lost_and_only_what_was_seen_leaves(
    kind: Any, capacity: int, actions: list[str | int], seed: int
) -> None:
    buffer, rng = kind(capacity=capacity), np.random.default_rng(seed)
    slots, held, drawn, taken = Slots(capacity), list[int](), set[int](), 0
    for action in actions:
        if action == "put":
            room = len(held) < capacity or (not kind.reads_once and bool(set(held) & drawn))
            assert buffer.put(slots, rng, taken, _sample(taken)) == room
            if room:
                gone = set(held) - set(slots.ids.tolist())
                assert len(gone) == (len(held) == capacity)
                assert gone <= drawn
                held, taken = [*(sample for sample in held if sample not in gone), taken], taken + 1
        elif isinstance(action, int) and len(held) >= (action if kind.reads_once else 1):
            ids, fields = buffer.draw(slots, rng, action)
            np.testing.assert_array_equal(fields["a"], np.broadcast_to(ids[:, None, None], (action, 2, 2)))
            np.testing.assert_array_equal(fields["u"], np.broadcast_to(-ids[:, None], (action, 3)))
            assert set(ids.tolist()) <= set(held)
            if kind.reads_once:
                assert len(set(ids.tolist())) == action
                assert not set(ids.tolist()) & drawn
                if kind is FIFO:
                    assert ids.tolist() == held[:action]
                held = [sample for sample in held if sample not in ids]
            drawn |= set(ids.tolist())
        assert sorted(slots.ids.tolist()) == sorted(held)
        np.testing.assert_array_equal(slots.seen, [sample in drawn for sample in slots.ids])


@settings(deadline=None, max_examples=80)
@given(
    buffer=st.one_of(
        st.builds(FIFO, capacity=st.integers(8, 30)),
        st.builds(FIRO, capacity=st.integers(16, 30)),
        st.builds(Reservoir, capacity=st.integers(4, 30), drain=st.just("evict")),
    ),
    samples=st.integers(1, 90),
    batch_size=st.integers(1, 8),
    ratio=st.floats(1, 4),
    watermark=st.integers(1, 4),
    shard=st.integers(1, 12),
    seed=st.integers(0, 2**32 - 1),
)
def test_in_the_steps_there_are_every_sample_is_drawn(
    buffer: Buffer, samples: int, batch_size: int, ratio: float, watermark: int, shard: int, seed: int
) -> None:
    """The limiter of `Online`, with numbers in place of a network."""
    ratio = 1 / batch_size if buffer.reads_once else ratio
    pace, rng, slots = Pace(samples, ratio, batch_size, watermark), np.random.default_rng(seed), Slots(buffer.capacity)
    buffer.check(pace)
    total, schedule = buffer.steps(pace), list[np.ndarray]()

    def step(left: int | None = None) -> None:
        schedule.append(buffer.draw(slots, rng, batch_size, left)[0])

    for start in range(0, samples, shard):
        for sample in range(start, min(start + shard, samples)):
            while not buffer.put(slots, rng, sample, _sample(sample)):
                step()
        taken = min(start + shard, samples)
        while len(schedule) < buffer.due(pace, taken):
            step()
        assert len(schedule) <= total
    lacking, unseen = len(slots) - batch_size * (total - len(schedule)), int((~slots.seen).sum())
    room = batch_size * (total - len(schedule))
    while len(schedule) < total:
        step(total - len(schedule))
    counts = np.bincount(np.concatenate(schedule), minlength=samples)
    if lacking > 0:
        # Steps went into samples that had been seen, of which so few steps leave few to spare.
        assert not buffer.reads_once
        assert len(slots) == lacking
        assert np.count_nonzero(counts == 0) == max(0, unseen - room)
    else:
        assert len(slots) == 0
        assert counts.min() >= 1
    if buffer.reads_once:
        assert counts.sum() - samples == -samples % batch_size
        assert total == -(-samples // batch_size)
    else:
        assert total == max(1, round(ratio * samples))


@pytest.mark.parametrize("kind", BUFFERS)
def test_a_buffer_full_of_unseen_samples_refuses_until_some_are_drawn(kind: Any) -> None:
    buffer, rng = kind(capacity=4), np.random.default_rng(0)
    slots = _filled(buffer, rng, range(4))
    assert not buffer.put(slots, rng, 4, _sample(4))
    assert sorted(slots.ids) == [0, 1, 2, 3]
    drawn = set(buffer.draw(slots, rng, 2)[0].tolist())
    for sample in range(4, 4 + len(drawn)):
        assert buffer.put(slots, rng, sample, _sample(sample))
    assert not buffer.put(slots, rng, 9, _sample(9))
    assert set(slots.ids.tolist()) == {0, 1, 2, 3, 4, 5}.intersection(range(4 + len(drawn))) - drawn


@pytest.mark.parametrize("kind", BUFFERS)
def test_a_restored_buffer_goes_on_as_the_one_it_was_taken_from(kind: Any) -> None:
    buffer, rng = kind(capacity=6), np.random.default_rng(0)
    first = _filled(buffer, rng, range(6))
    buffer.draw(first, rng, 3)
    for sample in range(6, 8):
        buffer.put(first, rng, sample, _sample(sample))
    second = Slots(6)
    ids, fields = first.ids, {"a": np.stack([_sample(int(i))["a"] for i in first.ids])}
    fields["u"] = np.stack([_sample(int(i))["u"] for i in first.ids])
    second.restore(ids, first.seen, fields)
    answers = []
    for slots in (first, second):
        rng = np.random.default_rng(7)
        buffer.put(slots, rng, 10, _sample(10))
        drawn = [buffer.draw(slots, rng, 2)[0] for _ in range(2)]
        answers.append([*np.concatenate(drawn), *slots.ids, *slots.seen])
    assert answers[0] == answers[1]


def test_empty_and_small_buffers_say_so() -> None:
    rng = np.random.default_rng(0)
    for kind in BUFFERS:
        with pytest.raises(ValueError, match="before drawing"):
            kind(capacity=2).draw(Slots(2), rng, 1)
    with pytest.raises(ValueError, match="3 samples do not fit a buffer of 2 that holds 0"):
        Slots(2).restore(np.arange(3), np.zeros(3, bool), {"a": np.zeros((3, 2))})
    with pytest.raises(ValueError, match="all 2 slots are taken"):
        _filled(FIFO(capacity=2), rng, range(2)).append(2, _sample(2))


@pytest.mark.parametrize(
    ("buffer", "pace", "message"),
    [
        (FIFO(), Pace(0, 2.5, 8, 8), r"batches_per_sample is 2.5, expected 0.125 .* 'fifo' gives every sample to one"),
        (FIRO(capacity=16), Pace(0, 0.125, 8, 9), r"buffer.capacity is 16, expected at least 17 .* 'firo'"),
        (FIFO(capacity=7), Pace(0, 0.125, 8, 2), r"buffer.capacity is 7, expected at least 8"),
        (Reservoir(capacity=8), Pace(0, 2.5, 8, 9), r"watermark is 9, expected at most buffer.capacity, 8"),
        (Reservoir(), Pace(0, 0.1, 8, 9), r"batches_per_sample is 0.1, expected at least 0.125"),
        (Reservoir(drain="evict"), Pace(100, 0.13, 8, 9), None),
        (Reservoir(drain="evict", capacity=10), Pace(20, 0.34, 3, 3), None),
        (
            Reservoir(drain="evict", capacity=100),
            Pace(10, 1 / 3, 3, 3),
            r"the last 4 steps would .* there are 3 in all",
        ),
    ],
)
def test_what_cannot_be_is_refused(buffer: Buffer, pace: Pace, message: str | None) -> None:
    if message is None:
        buffer.check(pace)
        return
    with pytest.raises(ValueError, match=message):
        buffer.check(pace)
