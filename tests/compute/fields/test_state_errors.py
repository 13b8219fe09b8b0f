from __future__ import annotations

import numpy as np
import pytest

from ritz.compute.fields.errors import relative_l2, relative_l2_at
from ritz.compute.fields.state_errors import normalised_rmse, relative_integral, variance_scaled_rmse

RNG = np.random.default_rng(0)
TRUTH, ERROR = RNG.standard_normal((2, 3, 4, 6, 5))


def test_with_one_state_the_normalised_rmse_is_the_relative_l2_error() -> None:
    np.testing.assert_allclose(
        normalised_rmse(TRUTH + ERROR, TRUTH), relative_l2(TRUTH + ERROR, TRUTH), rtol=1e-12, atol=0
    )


def test_states_count_alike_whatever_their_size() -> None:
    sizes = np.array([1.0, 1e-3, 1e3, 1.0])[:, None, None]
    found = normalised_rmse(sizes * (TRUTH + ERROR), sizes * TRUTH, (2, 3))
    by_state = [relative_l2((TRUTH + ERROR)[:, state], TRUTH[:, state]) for state in range(4)]
    np.testing.assert_allclose(found, np.mean(by_state, axis=0), rtol=1e-12)
    # Wherever space lies among the axes.
    last = np.moveaxis(TRUTH, 1, 3), np.moveaxis(TRUTH + ERROR, 1, 3)
    np.testing.assert_allclose(normalised_rmse(last[1], last[0], (1, 2)), normalised_rmse(TRUTH + ERROR, TRUTH, (2, 3)))


def test_a_state_at_rest_is_left_out_and_a_sample_at_rest_refused() -> None:
    truth = TRUTH.copy()
    truth[:, 0] = 0
    found = normalised_rmse(truth + ERROR, truth, (2, 3))
    np.testing.assert_allclose(found, normalised_rmse((truth + ERROR)[:, 1:], truth[:, 1:], (2, 3)), rtol=1e-12)
    truth[1] = 0
    with pytest.raises(ValueError, match=r"zero everywhere in samples \[1\]"):
        normalised_rmse(truth + ERROR, truth, (2, 3))


def test_the_variance_scaled_rmse_of_the_mean_over_space_is_nearly_one() -> None:
    mean = np.broadcast_to(TRUTH.mean(axis=(2, 3), keepdims=True), TRUTH.shape)
    np.testing.assert_allclose(variance_scaled_rmse(mean, TRUTH, (2, 3)), np.sqrt(29 / 30), rtol=1e-12)
    shifted = variance_scaled_rmse(TRUTH + ERROR + 100, TRUTH + 100, (2, 3))
    np.testing.assert_allclose(shifted, variance_scaled_rmse(TRUTH + ERROR, TRUTH, (2, 3)), rtol=1e-9)


def test_epsilon_is_added_to_the_variance() -> None:
    constant = np.ones((1, 2, 2))
    assert variance_scaled_rmse(constant + 0.5, constant, epsilon=0.25) == pytest.approx([1.0])
    with pytest.raises(ValueError, match=r"constant over space in samples \[0\]"):
        variance_scaled_rmse(constant + 0.5, constant)
    with pytest.raises(ValueError, match="at least two points"):
        variance_scaled_rmse(np.ones((1, 1)), np.ones((1, 1)))


def test_the_integral_error_sees_what_is_made_and_not_what_is_moved() -> None:
    rolled = np.roll(TRUTH, 2, axis=3)
    np.testing.assert_allclose(relative_integral(rolled, TRUTH, (2, 3)), 0, atol=1e-14)
    truth = np.array([[1.0, 3.0], [-1.0, 1.0]])
    np.testing.assert_allclose(relative_integral(truth + 0.5, truth), [0.25, 0.5], rtol=1e-12)
    # Over two times: the changes 1 and 2 beside the integrals 3 and 4.
    in_time = np.array([[[1.0, 2.0], [2.0, 2.0]]])
    change = np.array([[[1.0, 0.0], [1.0, 1.0]]])
    assert relative_integral(in_time + change, in_time, (2,)) == pytest.approx([np.sqrt(5) / 5])


def test_an_error_at_some_places_is_that_of_these_alone() -> None:
    where = np.zeros((4, 6, 5), dtype=bool)
    where[:, 0] = True
    np.testing.assert_allclose(
        relative_l2_at(TRUTH + ERROR, TRUTH, where), relative_l2((TRUTH + ERROR)[:, :, 0], TRUTH[:, :, 0]), rtol=1e-12
    )
    thin = np.zeros((1, 6, 1), dtype=bool)
    thin[:, 0] = True
    np.testing.assert_array_equal(
        relative_l2_at(TRUTH + ERROR, TRUTH, thin), relative_l2_at(TRUTH + ERROR, TRUTH, where)
    )
