"""Indices of sensitivity against closed forms and SALib, the coverage of their intervals, and what is refused."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
import scipy
from pydantic import ValidationError

from ritz.compute.problems.darcy import Darcy
from ritz.compute.problems.gaussian import cosines
from ritz.compute.problems.laws import Lognormal
from ritz.compute.uncertainty.sensitivity.coordinates import inputs_at
from ritz.compute.uncertainty.sensitivity.ratio import Estimates, Means, ratios
from ritz.compute.uncertainty.sensitivity.sobol import Indices, SobolIndices
from ritz.compute.uncertainty.sensitivity.transport import TransportSensitivity, squared_distance

ONE, TWO, BOTH = 0.5 * (1 + 0.1 * np.pi**4 / 5) ** 2, 49 / 8, 0.01 * np.pi**8 * (1 / 18 - 1 / 50)
FIRST = np.array([ONE, TWO, 0]) / (ONE + TWO + BOTH)
TOTAL = np.array([ONE + BOTH, TWO, BOTH]) / (ONE + TWO + BOTH)
"""Of `ishigami`."""


def ishigami(points: np.ndarray) -> np.ndarray:
    x, y, z = (np.pi * (2 * points[:, :3] - 1)).T
    return (np.sin(x) + 7 * np.sin(y) ** 2 + 0.1 * z**4 * np.sin(x))[:, None]


def without_interaction(points: np.ndarray) -> np.ndarray:
    x, y, _ = (np.pi * (2 * points - 1)).T
    return (np.sin(x) + 4 * np.sin(y) ** 2 + 20)[:, None]


def holds(indices: Indices, first: np.ndarray, total: np.ndarray) -> np.ndarray:
    """Return which of the true indices of the first quantity the intervals hold, (2, d)."""
    pairs = ((indices.first, first), (indices.total, total))
    return np.array([(one.low[0] <= true + 1e-12) & (true <= one.high[0]) for one, true in pairs])


def test_indices_of_one_replicate_of_4096_points() -> None:
    found = SobolIndices(points=4096, replicates=1).analyse(ishigami, 3, seed=0)
    np.testing.assert_allclose(found.first.value[0], FIRST, atol=0.003)
    np.testing.assert_allclose(found.total.value[0], TOTAL, atol=0.003)
    assert holds(found, FIRST, TOTAL).all()


def test_estimators_are_those_of_salib() -> None:
    from SALib.analyze import sobol

    rule = SobolIndices(points=256, replicates=1)
    values = ishigami(rule.design(3, 5))
    found = rule.indices(values)
    order = [0, 2, 3, 4, 1]
    problem = {"num_vars": 3, "names": ["x", "y", "z"], "bounds": [[0, 1]] * 3}
    salib = sobol.analyze(
        problem, values.reshape(-1, 5)[:, order].ravel(), calc_second_order=False, num_resamples=2, seed=0
    )
    np.testing.assert_allclose(found.total.value[0], salib["ST"], rtol=1e-12)
    # SALib centres by the mean of all values, those at mixed points too.
    np.testing.assert_allclose(found.first.value[0], salib["S1"], atol=0.005)


@pytest.mark.parametrize(("points", "replicates"), [(64, 8), (128, 4)])
def test_intervals_of_replicates_hold_as_often_as_they_say(points: int, replicates: int) -> None:
    rule = SobolIndices(points=points, replicates=replicates)
    inside = [holds(rule.analyse(ishigami, 3, seed), FIRST, TOTAL) for seed in range(150)]
    assert np.all(np.mean(inside, axis=0) >= 0.91)
    narrow = rule.model_copy(update={"level": 0.5})
    inside = [holds(narrow.analyse(ishigami, 3, seed), FIRST, TOTAL) for seed in range(50)]
    assert 0.4 < np.mean(inside) < 0.6


def test_a_correction_holds_with_a_wrong_model_and_shows_the_bias_of_it() -> None:
    rule = SobolIndices(points=128)
    inside, alone, biased, bias = [], [], [], []
    for seed in range(100):
        found = rule.analyse_corrected(without_interaction, ishigami, 3, seed, solves=64)
        inside.append(holds(found.indices, FIRST, TOTAL))
        alone.append(holds(found.cheap, FIRST, TOTAL))
        biased.append(found.bias.total.low[0, 2] > 0)
        bias.append(found.bias.total.value[0, 2])
    # Two standard errors below the level, and the mean of all within 2 %.
    assert np.all(np.mean(inside, axis=0) >= 0.905)
    assert np.mean(inside) >= 0.93
    # The model has no interaction: it is wrong of the last total index in all repetitions, and sure of it.
    assert not np.any(np.array(alone)[:, 1, 2])
    assert np.mean(biased) > 0.5
    assert np.mean(bias) == pytest.approx(TOTAL[2], abs=0.04)


def test_a_good_model_needs_few_dear_evaluations() -> None:
    def close(points: np.ndarray) -> np.ndarray:
        return np.asarray(1.05 * ishigami(points) + 0.05 * np.cos(9 * points[:, :1]))

    found = SobolIndices(points=1024, replicates=4).analyse_corrected(close, ishigami, 3, seed=1, solves=32)
    assert holds(found.indices, FIRST, TOTAL).all()
    width = found.indices.total.high - found.indices.total.low
    few = SobolIndices(points=32, replicates=1).analyse(ishigami, 3, seed=1)
    assert np.all(width < 0.3 * (few.total.high - few.total.low))
    same = SobolIndices(points=64).analyse_corrected(ishigami, ishigami, 3, seed=1)
    for one, other in ((same.indices.first, same.cheap.first), (same.indices.total, same.cheap.total)):
        np.testing.assert_allclose(one.value, other.value, rtol=1e-13)
        np.testing.assert_allclose(one.high, other.high, rtol=1e-10)
    np.testing.assert_allclose(same.bias.total.value, 0, atol=1e-13)
    np.testing.assert_allclose(same.bias.total.high - same.bias.total.low, 0, atol=1e-7)


def test_several_quantities_are_those_one_by_one_and_points_lie_inside() -> None:
    rule = SobolIndices(points=64, replicates=4)
    points = rule.design(3, 2)
    assert points.shape == (64 * 4 * 5, 3)
    assert 0 < points.min() < points.max() < 1
    np.testing.assert_array_equal(points, rule.design(3, 2))
    assert not np.isin(rule.check_points(3, 2, 32), points).any()
    checked = rule.check_points(3, 2, 40)[::5]
    np.testing.assert_array_equal(np.sort(checked * 40 // 1, axis=0), np.arange(40)[:, None].repeat(3, axis=1))
    both = np.concatenate([ishigami(points), points[:, :1] + 2 * points[:, 1:2]], axis=1)
    found, alone = rule.indices(both), rule.indices(both[:, 1:])
    np.testing.assert_allclose(found.first.low[1], alone.first.low[0])
    np.testing.assert_allclose(found.total.value[1], [0.2, 0.8, 0], atol=0.01)


def test_ratios_of_means_hold_and_say_nothing_where_the_denominator_may_be_zero() -> None:
    rng, inside = np.random.default_rng(0), []
    for _ in range(400):
        parts = []
        for count, ratio in ((12, 0.2), (20, 0.1)):
            below = 1 + 0.5 * rng.standard_normal((count, 1))
            parts.append(Means.of((ratio * below + 0.2 * rng.standard_normal((count, 1)))[..., None], below))
        found = ratios(parts, 0.9)
        inside.append(bool(found.low[0, 0] <= 0.15 <= found.high[0, 0]))
    assert 0.86 < np.mean(inside) < 0.94
    unknown = ratios([Means.of(rng.random((9, 1, 1)), rng.standard_normal((9, 1)))], 0.95)
    assert (unknown.low, unknown.high) == (0, 1)
    missed = ratios([Means.of(-1 + 0.1 * rng.random((9, 1, 1)), np.ones((9, 1)) + 0.1 * rng.random((9, 1)))], 0.95)
    assert missed.low < missed.value < missed.high < 0
    negative: Estimates = ratios([Means.of(np.ones((9, 1, 1)), -2 + 0.1 * rng.random((9, 1)))], 0.95)
    assert np.isnan(negative.value).all()
    assert (negative.low, negative.high) == (0, 1)


def test_the_rest_of_a_draw_is_a_coordinate_of_its_own() -> None:
    law, at = Lognormal(modes=4), (0, 3, 5)
    problem, amplitudes = Darcy(shape=(8, 8), law=law), law.amplitudes(2)
    parts = [cosines(np.eye(amplitudes.size)[k].reshape(4, 4) * amplitudes, (8, 8))[at[1:]] for k in range(16)]
    shares = np.square(parts) / np.sum(np.square(parts))
    leading = np.argsort(-amplitudes, axis=None, kind="stable")[:3]
    exact = np.array([*shares[leading], 1 - shares[leading].sum()])

    def log_permeability(points: np.ndarray) -> np.ndarray:
        return np.asarray(np.log(inputs_at(problem, 0, points)["a"].astype(float))[:, *at[1:]])[:, None]

    found = SobolIndices(points=128, replicates=8).analyse(log_permeability, 4, seed=0)
    np.testing.assert_allclose(found.first.value[0], exact, atol=0.05)
    np.testing.assert_allclose(found.total.value[0], exact, atol=0.05)
    points = np.random.default_rng(0).random((4, 3))
    np.testing.assert_array_equal(inputs_at(problem, 0, points)["a"][2:], inputs_at(problem, 0, points[2:])["a"])


def test_transport_indices_are_the_closed_form_of_a_linear_model_and_rank_as_sobol_s_do() -> None:
    weights = np.array([4.0, 2.0, 1.0, 0.0])
    x = np.random.default_rng(0).standard_normal((4096, 4))
    found = TransportSensitivity().analyse(x, (x @ weights)[:, None])
    exact = 1 - np.sqrt(1 - weights**2 / np.sum(weights**2))
    np.testing.assert_allclose(found.value[0], exact, atol=0.03)
    assert found.value[0, 3] < found.noise[0] < found.value[0, 2]

    points = np.random.default_rng(1).random((4096, 4))
    found = TransportSensitivity().analyse(points, np.concatenate([ishigami(points), 3 - 2 * ishigami(points)], axis=1))
    np.testing.assert_allclose(found.value[0], [0.201, 0.276, 0.095, 0], atol=0.02)
    np.testing.assert_allclose(found.value[1], found.value[0], atol=1e-12)
    # By the first-order index the last two are alike.
    np.testing.assert_array_equal(np.argsort(found.value[0, :2]), np.argsort(FIRST[:2]))
    assert found.value[0, 3] < found.noise[0] < found.value[0, 2]


@pytest.mark.parametrize("counts", [(6, 6), (6, 3), (7, 4), (3, 8), (5, 1)])
def test_distances_are_those_of_linear_programming(counts: Sequence[int]) -> None:
    rng = np.random.default_rng(0)
    one, other = (np.sort(rng.standard_normal(count) + count) for count in counts)
    cost = (one[:, None] - other) ** 2
    rows = np.kron(np.eye(len(one)), np.ones(len(other)))
    columns = np.kron(np.ones(len(one)), np.eye(len(other)))
    masses = np.concatenate([np.full(count, 1 / count) for count in counts])
    plan = scipy.optimize.linprog(cost.ravel(), A_eq=np.vstack([rows, columns]), b_eq=masses)
    assert squared_distance(one, other) == pytest.approx(plan.fun, rel=1e-7)


def test_what_has_no_indices_is_refused() -> None:
    rule = SobolIndices(points=64, replicates=2)
    values = ishigami(rule.design(3, 0))
    with pytest.raises(ValidationError, match="points is 100, expected a power of two"):
        SobolIndices(points=100)
    with pytest.raises(ValueError, match=r"values has shape \(639, 1\), expected \(128 × \(d \+ 2\), q\)"):
        rule.indices(values[1:])
    with pytest.raises(ValueError, match="values has 1 of 640 values that are not finite"):
        rule.indices(np.where(values == values[7], np.nan, values))
    with pytest.raises(ValueError, match="quantity 1 is 3 at all points"):
        rule.indices(np.concatenate([values, np.full_like(values, 3)], axis=1))
    with pytest.raises(ValueError, match="solves is 16, expected 32 or more"):
        rule.check_points(3, 0, 16)
    few = ishigami(rule.check_points(3, 0, 32))
    with pytest.raises(ValueError, match=r"dear has shape \(155, 1\), expected \(n × 5, 1\) of n ≥ 32"):
        rule.corrected(values, few, few[:155])
    with pytest.raises(ValueError, match="cheap has 160 values and dear 320, expected as many"):
        rule.corrected(values, few, np.tile(few, (2, 1)))
    with pytest.raises(ValueError, match=r"points has shape \(3, 65\), expected .* k ≤ 63 leading coordinates"):
        inputs_at(Darcy(shape=(8, 8), law=Lognormal(modes=8)), 0, np.full((3, 65), 0.5))
    with pytest.raises(ValueError, match=r"coordinates outside of \(0, 1\)"):
        inputs_at(Darcy(shape=(8, 8)), 0, np.array([[0.0, 0.5]]))
    transport, x = TransportSensitivity(classes=8), np.random.default_rng(0).random((100, 2))
    with pytest.raises(ValueError, match="there are 79 samples, expected 80 or more"):
        transport.analyse(x[:79], x[:79])
    with pytest.raises(ValueError, match="quantity 0 is 2 in all samples"):
        transport.analyse(x, np.full((100, 1), 2.0))
    with pytest.raises(ValueError, match="values has 1 of 200 values that are not finite"):
        transport.analyse(x, np.where(x == x[3, 1], np.inf, x))
    with pytest.raises(ValueError, match=r"values has shape \(99, 2\)"):
        transport.analyse(x, x[1:])
