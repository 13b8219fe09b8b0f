"""How well estimated errors rank the true ones."""

from __future__ import annotations

import numpy as np
import pytest

from ritz.compute.evaluation.measured import Measured
from ritz.compute.uncertainty.ranking import Sizes


def ranking(estimate: dict[str, np.ndarray], error: dict[str, np.ndarray]) -> dict[str, float]:
    return Sizes.of_rows(Measured(Sizes.of(estimate, error).rows())).ranking()


def errors(n: int = 60) -> np.ndarray:
    rng = np.random.default_rng(0)
    return np.asarray(np.exp(rng.standard_normal((n, 1, 1))) * rng.exponential(size=(n, 6, 5)))


def test_what_ranks_as_the_errors_do_is_best_whatever_its_scale() -> None:
    error = errors()
    found = ranking({"u": 7 * error**3}, {"u": error})
    assert found["spearman_point"] == pytest.approx(1)
    assert found["spearman_sample"] > 0.9
    assert ranking({"u": 7 * error}, {"u": error}) == pytest.approx(
        {"spearman_point": 1, "spearman_sample": 1, "ause": 0}, abs=1e-12
    )


def test_what_ranks_the_other_way_is_worst_and_noise_in_between() -> None:
    error = errors()
    worst = ranking({"u": 1 / error}, {"u": error})
    noise = ranking({"u": np.random.default_rng(1).permutation(error)}, {"u": error})
    assert worst["spearman_point"] == pytest.approx(-1)
    assert abs(noise["spearman_sample"]) < 0.3
    assert 0 < noise["ause"] < worst["ause"]


def test_the_area_against_its_definition() -> None:
    error = np.array([1.0, 2.0, 4.0]).reshape(3, 1)
    found = ranking({"u": np.array([[3.0], [1.0], [2.0]])}, {"u": error})
    # Kept are the one, two and three samples with the least estimate: 2, 3, 7/3; least possible: 1, 1.5, 7/3.
    assert found["ause"] == pytest.approx((1 + 1.5) / 3 / (7 / 3))


def test_samples_without_an_estimate_do_not_count_and_equal_ones_have_no_ranks() -> None:
    error = errors(10)
    estimate = error.copy()
    estimate[3] = np.nan
    estimate[4, 0, 0] = np.inf
    assert ranking({"u": estimate}, {"u": error})["spearman_sample"] == pytest.approx(1)
    found = ranking({"u": np.ones_like(error)}, {"u": error})
    assert np.isnan(found["spearman_point"])
    assert np.isnan(ranking({"u": np.full_like(error, np.nan)}, {"u": error})["ause"])


def test_outputs_count_together() -> None:
    error = errors()
    found = ranking({"u": error, "v": 2 * error[:, 0]}, {"u": error, "v": 2 * error[:, 0]})
    assert found["spearman_point"] == pytest.approx(1)
