from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from compute.training.reservoir import Reservoir


def _fill(reservoir: Reservoir, ids: range) -> None:
    for sample in ids:
        assert reservoir.put(sample, {"a": np.full(2, sample)})


def test_a_full_buffer_of_unseen_samples_refuses_until_one_is_drawn() -> None:
    reservoir = Reservoir(3, np.random.default_rng(0))
    _fill(reservoir, range(3))
    assert not reservoir.put(3, {"a": np.zeros(2)})
    assert sorted(reservoir.ids) == [0, 1, 2]
    (drawn,), _ = reservoir.draw(1)
    assert reservoir.put(3, {"a": np.zeros(2)})
    assert sorted(reservoir.ids) == sorted({0, 1, 2, 3} - {int(drawn)})
    assert not reservoir.put(4, {"a": np.zeros(2)})


@settings(deadline=None, max_examples=50)
@given(
    capacity=st.integers(1, 8),
    actions=st.lists(st.one_of(st.just("put"), st.integers(1, 5)), max_size=60),
    seed=st.integers(0, 2**32 - 1),
)
def test_only_seen_samples_are_evicted_and_fields_follow_their_ids(
    capacity: int, actions: list[str | int], seed: int
) -> None:
    reservoir = Reservoir(capacity, np.random.default_rng(seed))
    drawn: set[int] = set()
    taken = 0
    for action in actions:
        before = set(reservoir.ids.tolist())
        if action == "put":
            full = len(reservoir) == capacity
            refused = full and not reservoir.seen.any()
            assert reservoir.put(taken, {"a": np.full((2, 2), taken)}) == (not refused)
            gone = before - set(reservoir.ids.tolist())
            assert gone <= drawn
            assert len(gone) == (full and not refused)
            taken += not refused
        elif isinstance(action, int) and len(reservoir):
            ids, fields = reservoir.draw(action)
            np.testing.assert_array_equal(fields["a"], np.broadcast_to(ids[:, None, None], (action, 2, 2)))
            drawn |= set(ids.tolist())
        assert len(reservoir) <= capacity
        np.testing.assert_array_equal(reservoir.seen, [sample in drawn for sample in reservoir.ids])


def test_a_draw_is_uniform_over_seen_and_unseen() -> None:
    reservoir = Reservoir(5, np.random.default_rng(1))
    _fill(reservoir, range(5))
    reservoir.draw(3)
    ids, _ = reservoir.draw(20_000)
    counts = np.bincount(ids, minlength=5)
    # Five standard deviations of a binomial count.
    assert np.all(np.abs(counts - 4000) < 5 * np.sqrt(20_000 * 0.2 * 0.8))


def test_a_restored_buffer_goes_on_as_the_old_one() -> None:
    first = Reservoir(6, np.random.default_rng(2))
    _fill(first, range(6))
    first.draw(4)
    second = Reservoir(6, np.random.default_rng(9))
    second.restore(first.ids, first.seen, first.fields)
    for reservoir in (first, second):
        reservoir._rng.bit_generator.state = np.random.default_rng(7).bit_generator.state
        reservoir.put(10, {"a": np.full(2, 10)})
    np.testing.assert_array_equal(first.ids, second.ids)
    np.testing.assert_array_equal(first.seen, second.seen)
    np.testing.assert_array_equal(first.draw(9)[0], second.draw(9)[0])


def test_misuse_is_named() -> None:
    reservoir = Reservoir(2, np.random.default_rng(0))
    with pytest.raises(ValueError, match="buffer is empty"):
        reservoir.draw(1)
    with pytest.raises(ValueError, match="3 samples do not fit a buffer of 2"):
        reservoir.restore(np.arange(3), np.zeros(3, bool), {"a": np.zeros((3, 2))})
