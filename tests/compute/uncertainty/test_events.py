"""What every recalibration of events keeps, what each does, and what is refused."""

from __future__ import annotations

import numpy as np
import pytest
from pydantic import TypeAdapter
from sklearn.linear_model import LogisticRegression

from ritz.compute.uncertainty.events.calibeating import Calibeating
from ritz.compute.uncertainty.events.catalogue import RECALIBRATIONS, AnyRecalibration
from ritz.compute.uncertainty.events.exceedance import exceedance
from ritz.compute.uncertainty.events.online_gradient import OnlineGradient
from ritz.compute.uncertainty.events.online_newton import OnlineNewton
from ritz.compute.uncertainty.events.platt import Platt, fitted
from ritz.compute.uncertainty.events.recalibration import Recalibration
from ritz.compute.uncertainty.events.reliability import brier, calibration_error

ALL: tuple[Recalibration, ...] = (OnlineGradient(), OnlineNewton(), Platt(samples=50), Calibeating())

HALF = slice(1000, None)


def stream(slope: float = 1.0, drift: float = 0.0, n: int = 2000, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Return raw probabilities, and outcomes of others: σ(slope ℓ + drift t) of the raw logit ℓ, t from 0 to 1."""
    rng = np.random.default_rng(seed)
    logits = 2 * rng.standard_normal(n)
    true = 1 / (1 + np.exp(-slope * logits - drift * np.arange(n) / n))
    return 1 / (1 + np.exp(-logits)), rng.random(n) < true


def test_all_are_there() -> None:
    assert {type(one) for one in ALL} == set(RECALIBRATIONS.kinds().values())
    adapter: TypeAdapter[Recalibration] = TypeAdapter(AnyRecalibration)
    for one in ALL:
        assert adapter.validate_python(one.model_dump()) == one
        assert adapter.validate_python(one.kind).kind == one.kind
    assert adapter.validate_python({"kind": "calibeating", "inner": "platt"}) == Calibeating(inner=Platt())


@pytest.mark.parametrize("method", ALL, ids=lambda one: one.kind)
def test_a_probability_depends_on_the_outcomes_before_it_alone(method: Recalibration) -> None:
    raw, outcomes = stream(n=200)
    whole = method.stream(raw, outcomes)
    assert np.all((whole > 0) & (whole < 1))
    changed = outcomes.copy()
    changed[120:] = ~changed[120:]
    np.testing.assert_array_equal(method.stream(raw, changed)[:121], whole[:121])
    assert not np.array_equal(method.stream(raw, changed)[121:], whole[121:]) or method.kind == "platt"


@pytest.mark.parametrize("method", ALL, ids=lambda one: one.kind)
def test_a_recalibrator_stays_as_it_is_and_blocks_are_learnt_one_by_one(method: Recalibration) -> None:
    raw, outcomes = stream(n=120)
    first = method.begin()
    before = first.probability(raw)
    later = first.learnt(raw[:70], outcomes[:70])
    np.testing.assert_array_equal(first.probability(raw), before)
    assert not np.array_equal(later.probability(raw), before)
    again = first.learnt(raw[:30], outcomes[:30]).learnt(raw[30:70], outcomes[30:70])
    np.testing.assert_array_equal(again.probability(raw), later.probability(raw))
    np.testing.assert_array_equal(method.stream(raw, outcomes, block=70)[70:], later.probability(raw[70:]))
    nothing = first.learnt(raw[:0], outcomes[:0])
    np.testing.assert_array_equal(nothing.probability(raw), before)


@pytest.mark.parametrize("method", ALL, ids=lambda one: one.kind)
def test_it_sets_a_wrong_slope_right_and_hardly_harms_what_is_right(method: Recalibration) -> None:
    raw, outcomes = stream(slope=0.3)
    found = method.stream(raw, outcomes)[HALF]
    assert brier(found, outcomes[HALF]) < 0.95 * brier(raw[HALF], outcomes[HALF])
    raw, outcomes = stream()
    found = method.stream(raw, outcomes)[HALF]
    assert brier(found, outcomes[HALF]) < 1.05 * brier(raw[HALF], outcomes[HALF])


@pytest.mark.parametrize("method", [OnlineGradient(), OnlineNewton(), Calibeating()], ids=lambda one: one.kind)
def test_what_learns_on_follows_a_drift_that_a_fit_once_does_not(method: Recalibration) -> None:
    raw, outcomes = stream(drift=3.0)
    online, static = (one.stream(raw, outcomes)[HALF] for one in (method, Platt(samples=200)))
    assert brier(online, outcomes[HALF]) < 0.8 * brier(static, outcomes[HALF])
    assert calibration_error(online, outcomes[HALF]) < 0.3 * calibration_error(static, outcomes[HALF])


def test_a_step_of_the_gradient_is_that_of_the_log_loss() -> None:
    raw, step = 0.8, 1e-6
    logit = np.log(4.0)

    def loss(slope: float, offset: float) -> float:
        return float(np.log1p(np.exp(slope * logit + offset)))

    slope = (loss(1 + step, 0) - loss(1 - step, 0)) / (2 * step)
    offset = (loss(1, step) - loss(1, -step)) / (2 * step)
    now = OnlineGradient(rate=0.5).begin().learnt(np.array([raw]), np.array([False]))
    assert (now.slope, now.offset) == pytest.approx((1 - 0.5 * slope, -0.5 * offset), rel=1e-6)


def test_a_newton_step_is_the_inverse_curvature_times_the_gradient() -> None:
    now = OnlineNewton().begin().learnt(np.array([0.8]), np.array([False]))
    gradient = 0.8 * np.array([np.log(4.0), 1.0])
    curvature = 100 * np.eye(2) + np.outer(gradient, gradient)
    np.testing.assert_allclose(now.curvature, curvature)
    np.testing.assert_allclose(now.parameters, np.array([1, 0]) - 10 * np.linalg.solve(curvature, gradient))


def test_the_parameters_of_the_newton_step_stay_in_their_ball_nearest_in_the_curvature() -> None:
    from ritz.compute.uncertainty.events.online_newton import RADIUS, _projected

    curvature, moved = np.array([[5.0, 1.0], [1.0, 0.5]]), np.array([90.0, 120.0])
    found = _projected(moved, curvature)
    assert np.linalg.norm(found) == pytest.approx(RADIUS)
    angles = np.linspace(0, 2 * np.pi, 10_000)
    away = RADIUS * np.stack([np.cos(angles), np.sin(angles)], axis=1) - moved
    least = np.einsum("ni,ij,nj->n", away, curvature, away).min()
    assert (found - moved) @ curvature @ (found - moved) == pytest.approx(least, rel=1e-5)
    np.testing.assert_array_equal(_projected(np.array([3.0, 4.0]), curvature), [3, 4])


def test_platt_is_the_logistic_regression_of_drawn_targets_on_the_first_outcomes() -> None:
    raw, outcomes = stream(slope=0.5, n=400)
    logits = np.log(raw / (1 - raw))
    happened = outcomes.sum()
    high, low = (happened + 1) / (happened + 2), 1 / (400 - happened + 2)
    targets = np.where(outcomes, high, low)
    both = np.concatenate([targets, 1 - targets])
    regression = LogisticRegression(C=1e10, tol=1e-10).fit(
        np.tile(logits, 2)[:, None], np.repeat([1, 0], 400), sample_weight=both
    )
    expected = (regression.coef_[0, 0], regression.intercept_[0])
    assert fitted(logits, outcomes.astype(float)) == pytest.approx(expected, rel=1e-3)
    now = Platt(samples=400).begin().learnt(raw, outcomes)
    assert (now.slope, now.offset) == pytest.approx(expected, rel=1e-3)
    assert now.learnt(raw, outcomes) == now
    # Raw probabilities are held within about 0.001 of 0 and 1.
    np.testing.assert_allclose(Platt(samples=500).begin().learnt(raw, outcomes).probability(raw), raw, atol=1e-3)


def test_calibeating_says_how_often_the_event_took_place_in_the_bin() -> None:
    fixed = Calibeating(inner=Platt(samples=1000), bins=4)
    now = fixed.begin().learnt(np.array([0.1, 0.2, 0.2, 0.9]), np.array([1, 0, 1, 1]))
    np.testing.assert_allclose(
        now.probability(np.array([0.0, 0.24, 0.3, 0.99])), [(0.125 + 2) / 4, (0.125 + 2) / 4, 0.375, (0.875 + 1) / 2]
    )


def test_probabilities_from_errors_are_those_of_their_distribution() -> None:
    rng = np.random.default_rng(0)
    predicted, errors = rng.standard_normal(2000), 0.5 * rng.standard_normal(2000)
    true = predicted + 0.5 * rng.standard_normal(2000)
    found = exceedance(predicted, errors, 0.3)
    assert calibration_error(found, true > 0.3) < 0.03
    np.testing.assert_allclose(found[:5], [(1 + np.sum(one + errors > 0.3)) / 2002 for one in predicted[:5]])
    with pytest.raises(ValueError, match="errors has no value"):
        exceedance(predicted, errors[:0], 0.3)
    with pytest.raises(ValueError, match=r"predicted has shape \(2000, 1\), expected \(n,\) finite numbers"):
        exceedance(predicted[:, None], errors, 0.3)


def test_what_is_no_probability_or_outcome_is_refused() -> None:
    raw, outcomes = np.array([0.0, 0.5, 1.0]), np.array([0, 1, 1])
    for method in ALL:
        assert np.all(np.isfinite(method.begin().learnt(raw, outcomes).probability(raw)))
        with pytest.raises(ValueError, match="raw has 2 of 3 values outside 0 to 1"):
            method.begin().probability(np.array([0.5, 1.1, np.nan]))
        with pytest.raises(ValueError, match=r"raw has shape \(1, 3\), expected \(n,\)"):
            method.begin().probability(raw[None])
        with pytest.raises(ValueError, match=r"outcomes has shape \(2,\), expected \(3,\)"):
            method.begin().learnt(raw, outcomes[:2])
        with pytest.raises(ValueError, match="outcomes has 1 of 3 values that are neither 0 nor 1"):
            method.stream(raw, np.array([0, 0.5, 1]))
        with pytest.raises(ValueError, match="block is 0, expected 1 or more"):
            method.stream(raw, outcomes, block=0)
