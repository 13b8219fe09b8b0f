from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from compute.solvers.order import greedy


@settings(deadline=None, max_examples=40)
@given(st.integers(0, 60), st.integers(1, 5), st.integers(0, 2**32 - 1))
def test_every_step_goes_to_the_nearest_sample_left(size, dims, seed):
    features = np.random.default_rng(seed).standard_normal((size, dims)).astype(np.float32)
    path = greedy(features)
    assert sorted(path) == list(range(size))
    points = features.astype(np.float64)
    for step in range(size - 1):
        distances = np.linalg.norm(points[path[step + 1 :]] - points[path[step]], axis=1)
        assert distances[0] <= distances.min() * (1 + 1e-9) + 1e-12


def test_ties_go_to_the_lowest_index():
    assert list(greedy(np.zeros((5, 3)))) == [0, 1, 2, 3, 4]


def test_points_of_a_line_are_walked_from_end_to_end():
    order = np.random.default_rng(0).permutation(200)
    path = greedy(order[:, None].astype(np.float32))
    walked = order[path]
    assert np.array_equal(walked, np.arange(200)) or np.array_equal(walked, np.arange(200)[::-1])


def test_neighbours_get_closer():
    features = np.random.default_rng(0).standard_normal((500, 4))
    step = lambda x: np.linalg.norm(np.diff(x, axis=0), axis=1).mean()  # noqa: E731
    assert step(features[greedy(features)]) < 0.4 * step(features)


def test_bad_features_are_refused():
    with pytest.raises(ValueError, match=r"shape \(3,\)"):
        greedy(np.zeros(3))
    with pytest.raises(ValueError, match="NaN"):
        greedy(np.array([[np.nan]]))
