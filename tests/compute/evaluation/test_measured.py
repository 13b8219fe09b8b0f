"""What is measured of blocks of samples, and joined."""

from __future__ import annotations

import numpy as np
import pytest

from ritz.compute.evaluation.measured import Measured
from ritz.compute.evaluation.tally import Tally, edges


def values(n: int = 1000, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return np.asarray(np.exp(5 * rng.standard_normal(n)))


def test_a_bin_holds_the_values_up_to_its_upper_end() -> None:
    found = values()
    tally = Tally.of(found)
    assert tally.total == len(found)
    ends = edges(tally.keys)
    assert np.all(np.diff(ends) > 0)
    for share in (0.01, 0.5, 0.9, 1.0):
        exact = np.quantile(found, share, method="inverted_cdf")
        assert exact <= tally.quantile(share) <= exact * (1 + 1 / 256)


@pytest.mark.parametrize("value", [0.0, 1.0, 1.5, 256.0, 5e-324, 2.0**-1000, np.inf])
def test_an_end_belongs_to_its_bin(value: float) -> None:
    found = Tally.of(np.array([value]))
    assert edges(found.keys)[0] >= value
    if value not in (5e-324,):
        assert edges(found.keys)[0] == value


def test_nothing_has_no_bins_and_joins() -> None:
    nothing, some = Tally.of(np.empty(0)), Tally.of(values(10))
    joined = Tally.join([nothing, some])
    np.testing.assert_array_equal(joined.keys, some.keys)
    assert nothing.total == 0


def block(n: int, seed: int) -> Measured:
    found = values(n, seed)
    return Measured({"a": found}, {"count": np.array([n, 2 * n])}, {"a": Tally.of(found)}, {"why": f"seed {seed}"})


def test_blocks_join_to_what_all_samples_give_at_once() -> None:
    parts = [block(n, seed) for seed, n in enumerate((5, 1, 30))]
    joined = Measured.join(parts)
    whole = np.concatenate([part.rows["a"] for part in parts])
    np.testing.assert_array_equal(joined.rows["a"], whole)
    np.testing.assert_array_equal(joined.sums["count"], [36, 72])
    at_once = Tally.of(whole)
    np.testing.assert_array_equal(joined.tallies["a"].keys, at_once.keys)
    np.testing.assert_array_equal(joined.tallies["a"].counts, at_once.counts)
    assert joined.words == {"why": "seed 0"}


def test_a_name_that_a_part_lacks_is_left_out() -> None:
    joined = Measured.join([Measured({"a": np.ones(2), "b": np.ones(2)}), Measured({"a": np.ones(3)})])
    assert set(joined.rows) == {"a"}


def test_it_survives_a_file_whatever_its_names_are() -> None:
    found = block(7, 0) | Measured({"u|x:y/z": np.ones((7, 2), np.float32)})
    again = Measured.of_arrays(found.arrays(), found.words)
    assert set(again.rows) == set(found.rows)
    for name, rows in found.rows.items():
        np.testing.assert_array_equal(again.rows[name], rows)
    np.testing.assert_array_equal(again.tallies["a"].counts, found.tallies["a"].counts)
    np.testing.assert_array_equal(again.sums["count"], found.sums["count"])
    assert again.words == found.words
