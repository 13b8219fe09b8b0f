from __future__ import annotations

import numpy as np
import pytest

from ritz.compute.evaluation.arrivals import by_chance, differences, largest, quarters, scores


def test_scores_are_along_the_direction_in_which_features_vary_together() -> None:
    rng = np.random.default_rng(0)
    common, own = rng.standard_normal(500), rng.standard_normal((500, 3))
    features = np.column_stack([10 * (common + 0.3 * own[:, 0]), common + 0.3 * own[:, 1], own[:, 2], np.ones(500)])
    found = scores(features.astype(np.float32))
    assert abs(found.mean()) < 1e-6
    assert found.std() == pytest.approx(1)
    assert np.corrcoef(found, common)[0, 1] > 0.95
    np.testing.assert_array_equal(scores(np.ones((4, 2))), np.zeros(4))


def test_quarters_hold_every_value_once() -> None:
    assert [part.tolist() for part in quarters(np.arange(6))] == [[0, 1], [2, 3], [4], [5]]
    assert [len(part) for part in quarters(np.arange(3))] == [1, 1, 1]


def test_sorted_dispatch_is_told_from_random_dispatch() -> None:
    values = np.sort(np.random.default_rng(1).standard_normal(1600))
    values = (values - values.mean()) / values.std()
    shards = np.split(values, 100)
    order = np.random.default_rng(2).permutation(100)
    random = np.concatenate([shards[one] for one in order])
    # The mean of the lowest quarter of a normal distribution is 1.27 deviations below its mean.
    assert largest(values) == pytest.approx(1.27, abs=0.05)
    assert differences(values)[0] < -1.2
    assert differences(values)[3] > 1.2
    bound = by_chance(shards)
    # A quarter has 25 shards; of four such means the largest is rarely beyond 2.4 standard errors.
    assert 0.3 < bound < 0.55
    assert largest(random) < bound < 0.5 * largest(values)
