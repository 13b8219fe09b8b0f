from __future__ import annotations

import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ritz.compute.sampling import order as module
from ritz.compute.sampling.order import greedy, hilbert, order


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


def path_length(points):
    return np.linalg.norm(np.diff(points, axis=0), axis=1).mean()


@pytest.mark.parametrize(("dims", "bits"), [(1, 5), (2, 4), (3, 3), (4, 2)])
def test_the_curve_visits_every_cell_of_a_cube_and_goes_to_a_neighbour_each_time(dims, bits):
    cells = np.stack(np.meshgrid(*[np.arange(2**bits)] * dims, indexing="ij"), axis=-1).reshape(-1, dims)
    places = module._distances(cells, bits)
    assert sorted(places) == list(range(len(cells)))
    walked = cells[np.argsort(places)]
    assert (np.abs(np.diff(walked, axis=0)).sum(axis=1) == 1).all()


def test_the_curve_is_between_greedy_and_random_on_a_cloud():
    # Variances like those of the leading modes of a random field.
    scales = 1 / np.sqrt(1 + np.arange(12.0))
    features = np.random.default_rng(0).standard_normal((3000, 12)) * scales
    random, nearest, curve = (
        path_length(features[path]) for path in (np.arange(3000), greedy(features), hilbert(features))
    )
    assert nearest < 0.45 * random
    assert nearest < curve < 0.65 * random


def test_the_curve_follows_what_varies_whatever_the_axes():
    rng = np.random.default_rng(0)
    turned = rng.standard_normal((2000, 2)) @ np.linalg.qr(rng.standard_normal((8, 8)))[0][:2]
    features = turned + 1e-3 * rng.standard_normal((2000, 8))
    assert path_length(features[hilbert(features, components=2)]) < 0.06 * path_length(features)
    # Two numbers fill all of the space there is: more components find nothing else.
    assert path_length(features[hilbert(features)]) < 0.1 * path_length(features)


def test_a_hundred_thousand_points_take_seconds():
    features = np.random.default_rng(0).standard_normal((100_000, 16)).astype(np.float32)
    start = time.process_time()
    path = hilbert(features)
    assert time.process_time() - start < 10
    assert np.array_equal(np.sort(path), np.arange(100_000))
    assert np.array_equal(path, hilbert(features.copy()))


def test_the_curve_is_a_permutation_at_any_size():
    for shape in ((0, 3), (1, 3), (5, 0), (7, 1), (40, 70)):
        features = np.random.default_rng(0).standard_normal(shape)
        assert sorted(hilbert(features)) == list(range(shape[0]))
    assert list(hilbert(np.zeros((5, 3)))) == [0, 1, 2, 3, 4]


def test_a_line_is_walked_from_end_to_end_by_the_curve():
    shuffled = np.random.default_rng(0).permutation(300)
    walked = shuffled[hilbert(np.outer(shuffled, [1.0, -2.0, 0.5]))]
    assert np.array_equal(walked, np.arange(300)) or np.array_equal(walked, np.arange(300)[::-1])


def test_large_batches_are_ordered_along_the_curve(monkeypatch):
    features = np.random.default_rng(0).standard_normal((300, 4))
    assert np.array_equal(order(features), greedy(features))
    monkeypatch.setattr(module, "GREEDY_LIMIT", 299)
    assert np.array_equal(order(features), hilbert(features))
    assert not np.array_equal(hilbert(features), greedy(features))


@pytest.mark.parametrize("sort", [greedy, hilbert, order])
def test_bad_features_are_refused(sort):
    with pytest.raises(ValueError, match=r"shape \(3,\)"):
        sort(np.zeros(3))
    with pytest.raises(ValueError, match="NaN"):
        sort(np.array([[np.nan]]))


def test_components_are_checked():
    with pytest.raises(ValueError, match="components is 0"):
        hilbert(np.zeros((3, 2)), components=0)
