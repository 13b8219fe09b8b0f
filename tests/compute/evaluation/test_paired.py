from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from ritz.compute.evaluation.paired import gain

ONLINE, OFFLINE = [0.031, 0.028, 0.035, 0.030, 0.026, 0.040], [0.041, 0.039, 0.044, 0.043, 0.025, 0.049]


def test_the_interval_is_that_of_a_paired_t_test_on_the_logarithms() -> None:
    found = gain(ONLINE, OFFLINE)
    theirs = stats.ttest_rel(np.log(ONLINE), np.log(OFFLINE)).confidence_interval(0.95)
    np.testing.assert_allclose([found.low, found.high], [1 - np.exp(theirs.high), 1 - np.exp(theirs.low)], rtol=1e-12)
    assert found.mean == pytest.approx(1 - stats.gmean(ONLINE) / stats.gmean(OFFLINE), rel=1e-12)
    assert (found.won, found.verdict) == (5, "better")
    assert found.low < found.mean < found.high
    # Unpaired, the spread between the seeds would hide what every pair shows.
    unpaired = stats.ttest_ind(np.log(ONLINE), np.log(OFFLINE)).confidence_interval(0.95)
    assert theirs.high - theirs.low < unpaired.high - unpaired.low


def test_a_half_of_the_error_is_a_gain_of_a_half_and_the_other_way_round_a_loss_of_all() -> None:
    better, worse = gain([1.0, 2.0, 3.0], [2.0, 4.0, 6.0]), gain([2.0, 4.0], [1.0, 2.0])
    assert (better.mean, better.low, better.high) == pytest.approx((0.5, 0.5, 0.5))
    assert (worse.mean, worse.won, worse.verdict) == (pytest.approx(-1.0), 0, "worse")
    assert gain([1.0, 2.0], [2.0, 1.0]).verdict == "undecided"


def test_nine_intervals_of_ten_hold_the_truth_at_a_level_of_nine_tenths() -> None:
    rng = np.random.default_rng(0)
    held = 0
    for _ in range(2000):
        others = rng.lognormal(0, 1, 6)
        found = gain(others * np.exp(rng.normal(np.log(0.8), 0.2, 6)), others, level=0.9)
        held += found.low <= 0.2 <= found.high
    assert abs(held / 2000 - 0.9) < 0.02


@pytest.mark.parametrize(
    ("errors", "others", "level", "message"),
    [
        ([1.0], [2.0], 0.95, "two pairs or more"),
        ([1.0, 2.0], [2.0, 1.0, 3.0], 0.95, "two pairs or more"),
        ([1.0, 0.0], [2.0, 1.0], 0.95, "positive and finite"),
        ([1.0, 1.0], [2.0, float("nan")], 0.95, "positive and finite"),
        ([1.0, 2.0], [2.0, 1.0], 1.0, "level is 1.0"),
    ],
)
def test_what_gives_no_interval_is_refused(
    errors: list[float], others: list[float], level: float, message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        gain(errors, others, level)
