"""Conformal selection against its formulas, its promise over trials, and what it refuses."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
import scipy

from ritz.compute.uncertainty.selection.conformal_selection import ConformalSelection
from ritz.compute.uncertainty.selection.multiple_tests import discoveries

RULE = ConformalSelection(threshold=0.84, level=0.1)


def test_discoveries_are_those_of_adjusted_p_values() -> None:
    rng = np.random.default_rng(0)
    for level, power in product((0.05, 0.2), (1, 3)):
        p = np.round(rng.random(40) ** power, 2)
        np.testing.assert_array_equal(discoveries(p, level), scipy.stats.false_discovery_control(p) <= level + 1e-12)
    assert not discoveries(np.ones(3), 0.1).any()
    assert discoveries(np.empty(0), 0.1).shape == (0,)


def test_p_values_count_the_failing_samples_with_a_prediction_as_good_ties_included() -> None:
    predicted, true = np.array([3.0, 2.0, 1.0, 5.0]), np.array([0.0, 0.0, 0.0, 2.0])
    rule = ConformalSelection(threshold=1, level=0.3)
    found = rule.select(np.array([4.0, 2.0, 2.5, 0.0]), predicted, true)
    np.testing.assert_allclose(found.p, [1 / 5, 3 / 5, 2 / 5, 4 / 5])
    assert not found.chosen.any()
    other = ConformalSelection(threshold=-1, side="below", level=0.3)
    np.testing.assert_allclose(other.select(-np.array([4.0, 2.0, 2.5, 0.0]), -predicted, -true).p, found.p)
    some = ConformalSelection(threshold=1, level=0.7).select(np.array([0.0, 4.0, 2.5]), predicted, true)
    np.testing.assert_array_equal(some.positions, [1, 2])
    np.testing.assert_array_equal(RULE.passes(np.array([0.84, 0.85])), [False, True])


def _trial(seed: int, noises: tuple[float, ...]) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    rng = np.random.default_rng(seed)
    true = rng.standard_normal(600)
    return true, {str(k): true + noise * rng.standard_normal(600) for k, noise in enumerate(noises)}


def _shares(chosen: np.ndarray, passed: np.ndarray) -> tuple[float, float]:
    return float(np.sum(chosen & ~passed) / max(1, chosen.sum())), float(np.sum(chosen & passed) / passed.sum())


def test_the_level_is_kept_by_a_fixed_model_and_the_split_choice_and_broken_by_the_naive_one() -> None:
    candidates, calibrate, choose = slice(0, 300), slice(300, 500), slice(500, 600)
    fixed, split, naive = [], [], []
    for seed in range(300):
        true, predicted = _trial(seed, (0.3,) * 5)
        passed = RULE.passes(true[candidates])
        chosen = {
            name: RULE.select(one[candidates], one[calibrate], true[calibrate]).chosen
            for name, one in predicted.items()
        }
        best = RULE.best({name: one[choose] for name, one in predicted.items()}, true[choose])
        fixed.append(_shares(chosen["0"], passed)[0])
        split.append(_shares(chosen[best], passed)[0])
        naive.append(_shares(max(chosen.values(), key=np.sum), passed)[0])
    for kept in (fixed, split):
        assert np.mean(kept) <= 0.1 + 2 * np.std(kept) / np.sqrt(300)
        assert np.mean(kept) > 0.07
    assert np.mean(naive) > 0.1 + 5 * np.std(naive) / np.sqrt(300)


def test_the_choice_ranks_models_by_the_area_under_the_curve_and_has_more_power_than_one_taken_blindly() -> None:
    from sklearn.metrics import roc_auc_score

    split, blind = [], []
    for seed in range(100):
        true, predicted = _trial(seed, (0.2, 0.3, 0.4, 0.5, 0.8))
        some = {name: np.round(one[500:], 1) for name, one in predicted.items()}
        areas = {name: roc_auc_score(RULE.passes(true[500:]), one) for name, one in some.items()}
        best = RULE.best(some, true[500:])
        assert areas[best] == pytest.approx(max(areas.values()))
        passed = RULE.passes(true[:300])
        powers = {
            name: _shares(RULE.select(one[:300], one[300:500], true[300:500]).chosen, passed)[1]
            for name, one in predicted.items()
        }
        split.append(powers[best])
        blind.append(np.mean(list(powers.values())))
    assert np.mean(split) > np.mean(blind) + 0.1


def test_what_cannot_be_selected_is_refused() -> None:
    ten = np.arange(10.0)
    with pytest.raises(ValueError, match=r"there are 8 calibration samples, expected 9 or more.*level 0\.1"):
        RULE.select(ten, ten[:8], ten[:8])
    assert RULE.select(ten + 1, ten[:9], ten[:9]).chosen.all()
    with pytest.raises(ValueError, match=r"candidates has shape \(5, 2\), expected \(n,\)"):
        RULE.select(ten.reshape(5, 2), ten, ten)
    with pytest.raises(ValueError, match="true has 1 of 10 values that are not finite"):
        RULE.select(ten, ten, np.where(ten == 3, np.nan, ten))
    with pytest.raises(ValueError, match="there are 9 predicted and 10 true quantities"):
        RULE.select(ten, ten[:9], ten)
    with pytest.raises(ValueError, match=r"10 of 10 quantities are above the threshold 0\.84"):
        RULE.best({"a": ten}, ten + 1)
    with pytest.raises(ValueError, match="predicted names no model"):
        RULE.best({}, ten)
    with pytest.raises(ValueError, match=r"predicted\['a'\] has 1 of 10 values that are not finite"):
        RULE.best({"a": np.where(ten == 3, np.inf, ten)}, ten)
