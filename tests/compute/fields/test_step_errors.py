from __future__ import annotations

import numpy as np
import pytest

from ritz.compute.fields.errors import relative_l2
from ritz.compute.fields.state_errors import normalised_rmse, variance_scaled_rmse
from ritz.compute.fields.step_errors import (
    by_time,
    correlation_by_time,
    normalised_rmse_by_time,
    variance_scaled_rmse_by_time,
)

RNG = np.random.default_rng(0)
TRUTH, ERROR = RNG.standard_normal((2, 3, 4, 6, 5))


def test_the_mean_over_times_is_the_error_of_all_states() -> None:
    by_step = normalised_rmse_by_time(TRUTH + ERROR, TRUTH, 1, (2, 3))
    np.testing.assert_allclose(by_step.mean(axis=1), normalised_rmse(TRUTH + ERROR, TRUTH, (2, 3)), rtol=1e-12)
    np.testing.assert_allclose(by_step[:, 2], relative_l2((TRUTH + ERROR)[:, 2], TRUTH[:, 2]), rtol=1e-12)
    scaled = variance_scaled_rmse_by_time(TRUTH + ERROR, TRUTH, 1, (2, 3), 0.1)
    np.testing.assert_allclose(scaled.mean(axis=1), variance_scaled_rmse(TRUTH + ERROR, TRUTH, (2, 3), 0.1), rtol=1e-12)


def test_the_axes_may_lie_in_any_order_and_components_count_alike() -> None:
    # (sample, x, component, time, y): three components of different sizes.
    sizes = np.array([1.0, 10.0, 1e-3])[:, None, None]
    truth, change = sizes * RNG.standard_normal((2, 2, 5, 3, 4, 6))
    prediction = truth + change
    assert by_time(truth, 3, (4, 1)).shape == (2, 4, 3, 30)
    np.testing.assert_array_equal(by_time(truth, 3, (4, 1))[1, 2, 0], truth[1, :, 0, 2].T.ravel())
    for measure in (normalised_rmse_by_time, variance_scaled_rmse_by_time, correlation_by_time):
        found = measure(prediction, truth, 3, (4, 1))
        alone = [measure(prediction[:, :, part], truth[:, :, part], 2, (1, 3)) for part in range(3)]
        np.testing.assert_allclose(found, np.mean(alone, axis=0), rtol=1e-12)


def test_the_correlation_is_pearsons_whatever_mean_and_size() -> None:
    found = correlation_by_time(5 + 3 * (TRUTH + ERROR), TRUTH - 2, 1, (2, 3))
    for sample, time in np.ndindex(3, 4):
        expected = np.corrcoef((TRUTH + ERROR)[sample, time].ravel(), TRUTH[sample, time].ravel())[0, 1]
        assert found[sample, time] == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("value", [3.0, np.inf, np.nan, 1e308])
def test_a_state_that_says_nothing_has_no_correlation(value: float) -> None:
    prediction = TRUTH.copy()
    prediction[1, 2] = value
    found = correlation_by_time(prediction, TRUTH, 1, (2, 3))
    assert found[1, 2] == 0
    assert np.sum(found > 1 - 1e-12) == 11


def test_a_truth_without_size_is_refused_by_sample_and_time() -> None:
    truth = TRUTH.copy()
    truth[2, 1] = 0
    with pytest.raises(ValueError, match=r"truth of sample 2 is zero everywhere at the time numbered 1"):
        normalised_rmse_by_time(truth, truth, 1, (2, 3))
    with pytest.raises(ValueError, match=r"truth of sample 2 is constant over space.* at the time numbered 1"):
        variance_scaled_rmse_by_time(truth, truth, 1, (2, 3))
    assert np.all(variance_scaled_rmse_by_time(truth, truth, 1, (2, 3), 1e-7) == 0)
    with pytest.raises(ValueError, match="at least two points"):
        variance_scaled_rmse_by_time(truth[..., :1, :1], truth[..., :1, :1], 1, (2, 3))
    with pytest.raises(ValueError, match="expected one shape"):
        correlation_by_time(truth[:, :3], truth, 1, (2, 3))
