"""Intervals of shares: of points, which are no observations, and of samples, which are."""

from __future__ import annotations

import numpy as np
import pytest

from ritz.compute.uncertainty.conformal.conformal import Conformal
from ritz.compute.uncertainty.conformal.factors import conformal_quantile, risk_control
from ritz.compute.uncertainty.conformal.scores import Scores
from ritz.compute.uncertainty.coverage import Coverage, WholeFields
from ritz.compute.uncertainty.predicted import About, Predicted
from ritz.compute.uncertainty.shares import (
    Interval,
    binomial,
    binomial_difference,
    clustered,
    detectable,
    effective,
    promised,
)
from ritz.compute.uncertainty.spread.constant import Constant
from ritz.compute.uncertainty.spread.learnt import Learnt
from ritz.compute.uncertainty.zones import rings

LEVEL = 0.9


def scores(rng: np.random.Generator, n: int, points: int = 60) -> np.ndarray:
    """Return scores ``(n, points)`` of samples that differ in their scale: the points of one are much alike."""
    return np.asarray(np.exp(0.7 * rng.standard_normal((n, 1))) * rng.exponential(size=(n, points)))


def test_points_and_fields_are_covered_as_promised() -> None:
    rng = np.random.default_rng(3)
    n, repetitions = 60, 200
    points, fields = np.empty(repetitions), np.empty(repetitions)
    for i in range(repetitions):
        calibrate, fresh = scores(rng, n), scores(rng, 300)
        points[i] = np.mean(fresh <= risk_control(Scores.of(calibrate), LEVEL))
        fields[i] = np.mean(fresh.max(axis=1) <= conformal_quantile(calibrate.max(axis=1), LEVEL))
    low, high = promised(LEVEL, n)
    assert (low, high) == (LEVEL, LEVEL + 1 / 61)
    for found in (points, fields):
        error = 2 * found.std() / np.sqrt(repetitions)
        assert low - error <= found.mean() <= high + error


def test_the_interval_of_points_holds_the_coverage_on_fresh_samples_and_one_over_points_does_not() -> None:
    rng = np.random.default_rng(4)
    inside = wrong = 0
    for _ in range(200):
        factor = risk_control(Scores.of(scores(rng, 153)), LEVEL)
        shares = (scores(rng, 153) <= factor).mean(axis=1)
        truth = np.mean(scores(rng, 2000) <= factor)
        low, high = clustered(shares)
        inside += int(low <= truth <= high)
        low, high = binomial(int(shares.sum() * 60), 153 * 60)
        wrong += int(low <= truth <= high)
    assert 180 <= inside <= 197
    assert wrong < 100


def test_what_points_are_worth() -> None:
    rng = np.random.default_rng(5)
    independent = (rng.random((400, 50)) < LEVEL).mean(axis=1)
    found = effective(independent)
    assert found is not None
    assert found == pytest.approx(400 * 50, rel=0.2)
    alike = np.repeat([1.0, 0.0], [360, 40])
    assert effective(alike) == pytest.approx(400, rel=0.01)
    assert effective(np.full(5, 0.9)) is None
    assert clustered(np.array([0.4])) == Interval(0.0, 1.0), "one sample says nothing"
    assert clustered(np.ones(20)) == binomial(20, 20), "twenty that are all inside are no certainty"
    assert clustered(np.zeros(20)) == binomial(0, 20)
    assert binomial(0, 10)[0] == 0
    assert binomial(10, 10)[1] == 1


def test_a_few_fields_that_are_all_inside_are_no_certainty() -> None:
    found, low, high = binomial_difference((6, 6), (120, 150))
    assert found == pytest.approx(0.2)
    assert low < 0 < found < high < 0.35
    assert binomial_difference((6, 6), (6, 6))[1:] == pytest.approx((-0.39, 0.39), abs=0.005)


def test_few_samples_show_no_drop() -> None:
    assert detectable(0.5, 2) is None
    assert detectable(0.9, 10) == pytest.approx(0.3)


def test_a_quantile_that_there_is_not_is_infinite() -> None:
    assert conformal_quantile(np.arange(8.0), LEVEL) == np.inf
    assert conformal_quantile(np.arange(9.0), LEVEL) == 8.0


def test_documents_have_intervals() -> None:
    coverage = Coverage(LEVEL, np.array([0.8, 0.9, 1.0]), 0.1, promised(LEVEL, 9), WholeFields(138, 153, 0.3))
    document = coverage.document()
    assert document["measured"] == pytest.approx(0.9)
    assert (document["low"], document["high"]) == pytest.approx((0.6516, 1.0), abs=1e-4)
    assert document["by_sample"] == pytest.approx({"least": 0.8, "tenth": 0.82, "median": 0.9})
    assert document["expected"] == [0.9, 1.0]
    fields = document["fields"]
    assert (fields["inside"], fields["of"]) == (138, 153)
    shown = fields["detects"]
    assert (
        binomial(round((LEVEL - shown) * 153), 153).high < LEVEL <= binomial(round((LEVEL - shown) * 153) + 1, 153).high
    )
    assert (fields["low"], fields["high"]) == pytest.approx((0.843, 0.944), abs=1e-3)


def walled(n: int, seed: int, wrong: float = 1.0) -> Predicted:
    """Errors that are three times as large in the second cell from a wall, unlike what inputs and prediction say."""
    rng = np.random.default_rng(seed)
    a, u = rng.standard_normal((2, n, 16, 16))
    size = np.where(rings((16, 16), (0, 1)) == 1, 3.0, 1.0)
    return Predicted({"a": a}, {"u": u}, {"u": u + wrong * 0.1 * size * rng.standard_normal(u.shape)})


def test_a_spread_that_is_wrong_by_a_factor_is_made_right() -> None:
    for spread in (Constant(), Learnt()):
        for factor in (1 / 3, 3.0):
            bands = Conformal(levels=(LEVEL,), spread=spread).calibrate(walled(40, 0, factor), walled(150, 1))
            measured = bands.measure(walled(300, 2))[0].measured
            assert measured == pytest.approx(LEVEL, abs=0.015)


def test_cells_near_a_wall_keep_the_level_by_themselves() -> None:
    test = walled(400, 2)
    zones = rings((16, 16), (0, 1))
    found = {}
    for by_zone in (True, False):
        spread = Learnt(zones=by_zone)
        bands = Conformal(levels=(LEVEL,), spread=spread).calibrate(walled(60, 0), walled(200, 1), About())
        lower, upper = bands.interval(test.inputs, test.prediction, LEVEL)
        inside = (lower["u"] <= test.truth["u"]) & (test.truth["u"] <= upper["u"])
        found[by_zone] = [inside[:, zones == zone].mean() for zone in range(zones.max() + 1)]
    assert found[True] == pytest.approx([LEVEL] * 4, abs=0.015)
    assert len(found[False]) == 4


def test_rings_are_along_space_alone() -> None:
    zones = rings((2, 40), (1,))
    assert zones[0].tolist() == zones[1].tolist()
    assert zones[0, :20].tolist() == [0, 1, 2, 2, *[3] * 4, *[4] * 8, *[5] * 4]
    assert zones[0, ::-1].tolist() == zones[0].tolist()


def test_fields_that_are_not_finite_are_named() -> None:
    fields = np.zeros((3, 4))
    lost = fields.copy()
    lost[1, 2] = np.nan
    with pytest.raises(ValueError, match="prediction 'u' of 1 of 3 samples is not finite"):
        Predicted({}, {"u": lost}, {"u": fields})
    with pytest.raises(ValueError, match="truth 'u' of 1 of 3 samples is not finite"):
        Predicted({}, {"u": fields}, {"u": lost})
