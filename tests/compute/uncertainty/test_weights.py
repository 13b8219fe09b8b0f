"""How much each calibration sample says of a new one."""

from __future__ import annotations

import re

import numpy as np
import pytest

from ritz.compute.fields.dimensions import Dimensions
from ritz.compute.surrogates.spectral.fno import FNO
from ritz.compute.uncertainty.catalogue import calibrated
from ritz.compute.uncertainty.conformal.bands import Bands
from ritz.compute.uncertainty.conformal.conformal import Conformal
from ritz.compute.uncertainty.conformal.factors import conformal_quantile, risk_control
from ritz.compute.uncertainty.conformal.scores import Scores
from ritz.compute.uncertainty.predicted import About, Predicted
from ritz.compute.uncertainty.spread.constant import Constant
from ritz.compute.uncertainty.weights.age import Age, FittedAge
from ritz.compute.uncertainty.weights.catalogue import WEIGHTS
from ritz.compute.uncertainty.weights.density_ratio import DensityRatio
from ritz.compute.uncertainty.weights.distance import Distance
from ritz.compute.uncertainty.weights.equal import Equal
from ritz.compute.uncertainty.weights.weights import Weights, effective

LEVELS = (0.5, 0.9)

SHIPPED: list[Weights] = [Equal(), Age(), Age(folding=40.0), Distance(), DensityRatio()]

ABOUT = About(
    dimensions=Dimensions(
        space=("x",), sizes={"x": 8}, variables={"a": ("x",), "u": ("x",)}, inputs=("a",), lengths=(1.0,)
    )
)


def predicted(n: int, seed: int, size: np.ndarray | float = 1.0, level: np.ndarray | float = 0.0) -> Predicted:
    """Samples whose errors have a size each, and whose inputs have a level."""
    rng = np.random.default_rng(seed)
    a, u = rng.standard_normal((2, n, 8))
    wrong = np.reshape(size, (-1, 1)) * rng.standard_normal((n, 8)) * np.exp(0.3 * rng.standard_normal((n, 1)))
    return Predicted({"a": a + level}, {"u": u}, {"u": u + wrong}, places=7 * np.arange(n))


def made(weights: Weights, calibrate: Predicted, levels: tuple[float, ...] = LEVELS) -> Bands:
    return Conformal(levels=levels, spread=Constant(), weights=weights).calibrate(predicted(30, 99), calibrate, ABOUT)


def test_all_shipped_weights_are_here() -> None:
    assert {type(weights) for weights in SHIPPED} == set(WEIGHTS.kinds().values())


@pytest.mark.parametrize("weights", SHIPPED, ids=repr)
def test_without_a_drift_every_weight_holds_the_level_and_survives_bytes(weights: Weights) -> None:
    bands, test = made(weights, predicted(200, 0)), predicted(60, 1)
    again = calibrated(bands.to_bytes())
    assert again == bands
    for coverage in again.measure(test):
        assert coverage.measured == pytest.approx(coverage.level, abs=0.06)
        assert coverage.fields is not None
        assert coverage.fields.inside / 60 == pytest.approx(coverage.level, abs=0.15)
        lower, upper = again.interval(test.inputs, test.prediction, coverage.level)
        inside = (lower["u"] <= test.truth["u"]) & (test.truth["u"] <= upper["u"])
        np.testing.assert_allclose(coverage.shares, inside.mean(axis=1))
    assert (again.measure(test)[0].expected is None) == (weights != Equal())


@pytest.mark.parametrize("weights", SHIPPED, ids=repr)
def test_a_recipe_leaves_equal_weights_out(weights: Weights) -> None:
    document = Conformal(weights=weights).model_dump(mode="json")
    assert ("weights" in document) == (weights != Equal())
    assert Conformal.model_validate(document).weights == weights


def test_weighted_factors_against_their_definition() -> None:
    rng = np.random.default_rng(0)
    for n, points, level in ((30, 7, 0.9), (40, 5, 0.5), (25, 11, 0.8)):
        scores, weights = rng.exponential(size=(n, points)), rng.uniform(size=n)
        factor = risk_control(Scores.of(scores), level, weights)

        def controlled(candidate: float, scores: np.ndarray = scores, weights: np.ndarray = weights) -> bool:
            outside = np.mean(scores > candidate, axis=1)
            return bool(weights @ outside + 1 <= (1 - level) * (weights.sum() + 1) + 1e-12)  # noqa: B023

        assert controlled(factor)
        assert not controlled(scores[scores < factor].max())
        largest = scores.max(axis=1)
        quantile = conformal_quantile(largest, level, weights)
        assert weights[largest <= quantile].sum() >= level * (weights.sum() + 1) - 1e-9
        assert weights[largest < quantile].sum() < level * (weights.sum() + 1) - 1e-9


def test_samples_without_weight_do_not_count() -> None:
    scores = np.arange(1.0, 31.0)[:, None]
    weights = np.repeat([1.0, 0.0], [19, 11])
    assert risk_control(Scores.of(scores), 0.9, weights) == 18.0
    assert conformal_quantile(scores[:, 0], 0.9, weights) == 18.0
    assert effective(weights) == pytest.approx(19)
    assert risk_control(Scores.of(scores), 0.9, np.zeros(30)) == np.inf
    assert conformal_quantile(scores[:, 0], 0.9, np.zeros(30)) == np.inf


def test_many_points_are_kept_as_groups_that_never_say_too_much() -> None:
    scores = np.random.default_rng(0).exponential(size=(40, 5000))
    whole = np.sort(scores.ravel())
    for level in (0.5, 0.9):
        factor = risk_control(Scores.of(scores), level)
        share = np.mean(whole <= factor)
        exact = 1 - ((41 * 0.1 if level == 0.9 else 41 * 0.5) - 1) / 40
        assert exact - 1e-9 <= share <= exact + 0.001


def test_age_follows_a_drift_that_equal_weights_miss() -> None:
    size = np.linspace(1, 2.5, 400)
    stream, test = predicted(400, 0, size), predicted(300, 1, 2.5)
    equal, age = (made(weights, stream).measure(test)[1].measured for weights in (Equal(), Age()))
    assert equal < 0.84
    assert age == pytest.approx(0.9, abs=0.025)
    fitted = made(Age(), stream).weights
    assert isinstance(fitted, FittedAge)
    assert fitted.folding is not None
    assert fitted.folding <= 100
    assert dict(fitted.tested)[None] < 0.85
    assert "as a back-test on earlier samples chose" in fitted.made()


def test_the_back_test_looks_at_no_later_sample_and_at_the_order_alone() -> None:
    """Turned around in memory with their places, the samples give the same weights, each its own."""
    size = np.linspace(1, 2.5, 200)
    stream = predicted(200, 0, size)
    assert stream.places is not None
    inputs, prediction, truth = (
        {name: values[::-1] for name, values in part.items()}
        for part in (stream.inputs, stream.prediction, stream.truth)
    )
    back = Predicted(inputs, prediction, truth, places=stream.places[::-1])
    one, other = (made(Age(), samples) for samples in (stream, back))
    assert one.outputs == other.outputs
    assert isinstance(one.weights, FittedAge)
    assert isinstance(other.weights, FittedAge)
    assert one.weights.ages == other.weights.ages[::-1]
    assert one.weights.tested == other.weights.tested


def test_the_back_test_tries_what_leaves_samples_enough_for_the_highest_level() -> None:
    """So quick a drift asks for the shortest folding, of which too few samples are left for 95 %."""
    stream = predicted(200, 0, np.exp(np.linspace(0, 4, 200)))
    assert made(Age(), stream).weights.folding == 12.5  # type: ignore[union-attr]  # by age
    fitted = made(Age(), stream, (0.5, 0.8, 0.9, 0.95)).weights
    assert isinstance(fitted, FittedAge)
    assert fitted.folding == 25
    assert 12.5 not in dict(fitted.tested)


def test_what_stays_the_same_is_followed_by_no_short_folding() -> None:
    fitted = made(Age(), predicted(300, 3)).weights
    assert isinstance(fitted, FittedAge)
    assert fitted.folding is None or fitted.folding >= 50


def test_samples_near_the_new_one_decide_about_it() -> None:
    """Inputs of two sorts, of which one has errors twice as large."""
    rng = np.random.default_rng(0)
    sort = rng.integers(0, 2, 300)
    calibrate = predicted(300, 0, 1.0 + sort, level=10.0 * sort[:, None])
    bands = made(Distance(bandwidth=0.3), calibrate)
    quiet, loud = (bands.measure(predicted(100, 1, 1.0 + kind, level=10.0 * kind))[1] for kind in (0, 1))
    # Few count for each, which makes them wide: what is not counted is taken to be outside.
    assert min(quiet.measured, loud.measured) > 0.9
    assert loud.width > 1.5 * quiet.width
    shifted = made(DensityRatio(), calibrate).measure(predicted(100, 1, 2.0, level=10.0))[1]
    assert shifted.measured == pytest.approx(0.9, abs=0.07)


def test_what_is_missing_is_named() -> None:
    few = predicted(60, 0)
    nowhere = Predicted(few.inputs, few.prediction, few.truth)
    with pytest.raises(ValueError, match="weights is 'age', but the order in which the samples came is not known"):
        made(Age(), nowhere)
    said = "folding is 5: the weights of 60 samples add up to 4.5, expected at least 9 for the level 0.9"
    with pytest.raises(ValueError, match=re.escape(said)):
        made(Age(folding=5), few)
    with pytest.raises(ValueError, match=r"weights: those of 60 samples add up to 9\.\d, expected at least 19"):
        made(Age(folding=10), few, (0.9, 0.95))
    bands, test = made(DensityRatio(), few), predicted(3, 1)
    with pytest.raises(ValueError, match="there are 3 inputs, expected at least 20"):
        bands.interval(test.inputs, test.prediction, 0.9)
    with pytest.raises(ValueError, match="whose dimensions are not known"):
        Conformal(weights=Distance()).calibrate(few, few)


def test_a_run_takes_no_weights_that_ask_for_all_inputs_at_once() -> None:
    assert (
        Conformal(weights=DensityRatio()).unfit(FNO()).startswith("weights is 'density_ratio', which has to know all")
    )
    assert Conformal(weights=Distance(), spread=Constant()).unfit(FNO()) == ""


def test_points_are_drawn_by_sample_whoever_is_measured_with_it() -> None:
    bands, test = made(Equal(), predicted(60, 0)), predicted(20, 1)
    whole = bands.look(test).rows["sizes at points"]
    parts = [bands.look(test.taken(rows)).rows["sizes at points"] for rows in (slice(0, 7), slice(7, None))]
    np.testing.assert_array_equal(whole, np.concatenate(parts))
