"""Scores of distributions against closed forms, against their formulas, and as metrics."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import scipy

from ritz.compute.evaluation.distribution import crps, energy, ranks
from ritz.compute.evaluation.distribution_scores import CRPS, EnergyScore, RankHistogram
from ritz.compute.evaluation.metric import Subject
from ritz.compute.fields.dimensions import Dimensions


def test_the_crps_of_gaussian_draws_is_that_of_the_closed_form() -> None:
    # Gneiting and Raftery 2007, equation 21; many points of one sample in the place of many samples.
    mean, deviation, points = 1.5, 2.0, 20_000
    rng = np.random.default_rng(0)
    draws = mean + deviation * rng.standard_normal((40, 3, points))
    truth = np.repeat([[0.0], [1.5], [6.0]], points, axis=1)
    z = (truth[:, 0] - mean) / deviation
    normal = scipy.stats.norm
    exact = deviation * (z * (2 * normal.cdf(z) - 1) + 2 * normal.pdf(z) - 1 / np.sqrt(np.pi))
    np.testing.assert_allclose(crps(draws, truth), exact, rtol=0.01)


def test_the_mean_score_does_not_depend_on_the_number_of_draws() -> None:
    rng = np.random.default_rng(1)
    truth = rng.standard_normal((1, 200_000))
    few, many = (crps(rng.standard_normal((m, 1, 200_000)), truth)[0] for m in (2, 20))
    assert few == pytest.approx(1 / np.sqrt(np.pi), rel=0.01)
    assert many == pytest.approx(1 / np.sqrt(np.pi), rel=0.01)


def test_crps_and_energy_score_are_their_formulas_over_all_pairs_of_draws() -> None:
    rng = np.random.default_rng(2)
    draws, truth = rng.standard_normal((5, 3, 4, 6)).astype(np.float32), rng.standard_normal((3, 4, 6))
    pairs = [(i, j) for i in range(5) for j in range(5) if i != j]
    point = abs(draws - truth).mean(axis=0) - np.mean([abs(draws[i] - draws[j]) for i, j in pairs], axis=0) / 2
    np.testing.assert_allclose(crps(draws, truth), point.mean(axis=(1, 2)), rtol=1e-6)

    def distance(one: np.ndarray, other: np.ndarray) -> np.ndarray:
        size: np.ndarray = np.sqrt(np.mean((one - other).reshape(3, -1) ** 2, axis=1))
        return size

    def score(drawn: np.ndarray, true: np.ndarray) -> np.ndarray:
        far = np.mean([distance(one, true) for one in drawn], axis=0)
        found: np.ndarray = far - np.mean([distance(drawn[i], drawn[j]) for i, j in pairs], axis=0) / 2
        return found

    np.testing.assert_allclose(energy(draws, truth), score(draws, truth), rtol=1e-6)
    # Two tiles of twelve points: the first and the last two rows.
    halves = [score(draws[:, :, half], truth[:, half]) for half in (slice(2), slice(2, 4))]
    np.testing.assert_allclose(energy(draws, truth, tile=12), np.mean(halves, axis=0), rtol=1e-6)
    np.testing.assert_allclose(energy(draws, truth, tile=1), crps(draws, truth), rtol=1e-6)


def test_the_energy_score_sees_a_wrong_pattern_where_the_crps_sees_none() -> None:
    rng = np.random.default_rng(3)
    along = rng.standard_normal((16, 400, 1)) * np.ones(20)
    truth = rng.standard_normal((400, 1)) * np.ones(20)
    apart = rng.standard_normal((16, 400, 20))
    assert crps(apart, truth).mean() == pytest.approx(crps(along, truth).mean(), rel=0.1)
    assert energy(apart, truth).mean() > 1.1 * energy(along, truth).mean()


@pytest.mark.parametrize(("members", "bins"), [(4, 5), (9, 10), (16, 10)])
def test_ranks_are_flat_where_the_truth_is_one_more_draw_and_tell_what_is_wrong_where_not(
    members: int, bins: int
) -> None:
    rng = np.random.default_rng(4)
    draws, truth = rng.standard_normal((members, 4, 50_000)), rng.standard_normal((4, 50_000))
    flat = ranks(draws, truth)
    assert flat.shape == (4, bins)
    np.testing.assert_allclose(flat.sum(axis=1), 1)
    np.testing.assert_allclose(flat, 1 / bins, atol=5 * np.sqrt(1 / bins / 50_000))
    narrow, wide, low = (ranks(one, truth).mean(axis=0) for one in (draws / 2, 2 * draws, draws - 1))
    assert min(narrow[0], narrow[-1]) > 1.5 / bins
    assert max(wide[0], wide[-1]) < 0.7 / bins
    assert low[-1] > 2 / bins
    assert low[0] < 0.3 / bins
    same = ranks(np.zeros_like(draws), np.zeros_like(truth))
    np.testing.assert_allclose(same, 1 / bins, atol=5 * np.sqrt(1 / bins / 50_000))


def test_what_cannot_be_scored_is_refused() -> None:
    truth = np.zeros((3, 4))
    for score in (crps, energy, ranks):
        with pytest.raises(ValueError, match=r"draws has shape \(2, 3, 5\), expected \(m, n, \*dims\)"):
            score(np.zeros((2, 3, 5)), truth)
        with pytest.raises(ValueError, match="draws has 1 of each sample, expected 2 or more"):
            score(np.zeros((1, 3, 4)), truth)
        with pytest.raises(ValueError, match="truth has 1 of 12 values that are not finite"):
            score(np.zeros((2, 3, 4)), np.where(np.arange(12).reshape(3, 4) == 5, np.nan, truth))


def _subject() -> Subject:
    rng = np.random.default_rng(5)
    dimensions = Dimensions(space=("x",), sizes={"x": 50}, variables={"u": ("x",)}, inputs=())
    mean = 3 * rng.standard_normal((40, 50))
    truth = {"u": mean + rng.standard_normal((40, 50))}
    draws = {"u": mean + rng.standard_normal((16, 40, 50))}
    known = {"u": np.sqrt(10) * rng.standard_normal((100, 50))}
    return Subject({}, {"u": mean}, truth, dimensions, None, draws, known)


def test_a_distribution_is_measured_beside_the_certain_prediction_and_the_climatology() -> None:
    whole = _subject()
    unit = whole.climatology["u"].std() if whole.climatology else np.nan
    found = {part: values.mean() for part, values in CRPS().of(whole).items()}
    # Of a standard normal distribution, 1/√π; its mean absolute error, √(2/π); of the climatology √10 times the first.
    assert unit * found["draws"] == pytest.approx(1 / np.sqrt(np.pi), rel=0.05)
    assert unit * found["prediction"] == pytest.approx(np.sqrt(2 / np.pi), rel=0.05)
    assert found["climatology"] == pytest.approx(1 / np.sqrt(np.pi), rel=0.1)
    fields = EnergyScore().of(whole)
    rmse = np.sqrt(np.mean((whole.prediction["u"] - whole.truth["u"]) ** 2, axis=1))
    np.testing.assert_allclose(unit * fields["prediction"], rmse, rtol=1e-9)
    assert fields["draws"].mean() < fields["prediction"].mean() < fields["climatology"].mean()
    assert list(RankHistogram().of(whole)) == [f"{k}_of_10" for k in range(1, 11)]


def test_without_draws_or_training_samples_there_is_no_score_and_it_says_why() -> None:
    whole = _subject()
    for metric in (CRPS(), EnergyScore(), RankHistogram()):
        assert metric.unfit_for(whole) == ""
        assert metric.unfit_for(replace(whole, draws=None)) == "the surrogate gives no draws"
    for metric in (CRPS(), EnergyScore()):
        assert metric.unfit_for(replace(whole, climatology=None)) == "it needs two training samples or more"
        flat = replace(whole, climatology={"u": np.ones((4, 50))})
        assert metric.unfit_for(flat) == "'u' is one number in all training samples"
    assert RankHistogram().unfit_for(replace(whole, climatology=None)) == ""
