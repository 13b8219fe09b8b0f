from __future__ import annotations

import json

import numpy as np
import pytest
from scipy import optimize

from ritz.compute.solvers.operators import Stencil
from ritz.compute.solvers.tuning.features import dominance, terms
from ritz.compute.solvers.tuning.policy import Policy, TsallisInf, UpperBound
from ritz.compute.solvers.tuning.statistics import Statistics

ONE = np.ones(1)


def played(policy: Policy, work, contexts=None, turn=0):
    """Play on a table of work ``(systems, arms)``; return the arms and the sums."""
    contexts = np.ones((len(work), 1)) if contexts is None else contexts
    seen, arms = Statistics.empty(work.shape[1], contexts.shape[1]), []
    for row, x in zip(work, contexts, strict=True):
        arm, probability = policy.play(seen, x, turn)
        seen = seen.played(arm, x, row[arm], seen.lost(row[arm]) / probability)
        arms.append(arm)
    return np.array(arms), seen


def noisy(means, systems, seed=0, spread=0.2):
    rng = np.random.default_rng(seed)
    return np.array(means) * np.exp(spread * rng.standard_normal((systems, len(means))))


def test_sums_of_parts_are_those_of_the_whole():
    rng = np.random.default_rng(0)
    parts = [Statistics.empty(3, 2) for _ in range(4)]
    whole = Statistics.empty(3, 2)
    for i in range(40):
        x, arm = np.r_[1.0, rng.standard_normal()], int(rng.integers(3))
        parts[i % 4] = parts[i % 4].played(arm, x, 3.0 + arm, 0.5)
        whole = whole.played(arm, x, 3.0 + arm, 0.5)
    total = parts[2] + parts[0] + parts[3] + parts[1]
    for name, values in whole.arrays().items():
        np.testing.assert_allclose(total.arrays()[name], values, rtol=1e-13, atol=1e-13)
    again = Statistics.of({name: json.loads(json.dumps(v.tolist())) for name, v in total.arrays().items()})
    assert all(np.array_equal(again.arrays()[name], values) for name, values in total.arrays().items())
    assert (total.total, total.work.sum()) == (40, pytest.approx(whole.work.sum()))


def test_a_loss_over_its_probability_estimates_the_loss_on_all_systems():
    """Each arm is played with a probability; what it would have lost on all systems is known."""
    probabilities, rng = np.array([0.7, 0.3]), np.random.default_rng(1)
    seen, losses = Statistics.empty(2, 1), np.zeros(2)
    for _ in range(4000):
        arm = int(rng.choice(2, p=probabilities))
        lost = np.array([seen.lost(work) for work in (1.0, 3.0)])
        losses += lost
        seen = seen.played(arm, ONE, (1.0, 3.0)[arm], lost[arm] / probabilities[arm])
    assert seen.loss == pytest.approx(losses, rel=0.05)


def test_each_arm_is_tried_once_and_sequences_begin_elsewhere():
    begun = []
    for turn in range(5):
        arms, _ = played(UpperBound(), noisy([1] * 10, 10), turn=turn)
        assert sorted(arms) == list(range(10))
        begun.append(arms[0])
    assert begun == [0, 6, 2, 8, 4]


def test_the_bound_finds_the_best_of_many_and_stays_with_it():
    means = [4, 3, 2.5, 1.8, 1.0, 1.4, 2, 3]
    work = noisy(means, 400)
    arms, seen = played(UpperBound(), work)
    assert (arms[200:] == 4).mean() > 0.97
    assert work[np.arange(400), arms].sum() <= 1.05 * work[:, 4].sum()
    assert int(np.argmin(seen.on_all())) == 4


def test_a_context_tells_apart_which_arm_suits_which_system():
    z = np.random.default_rng(2).uniform(-1, 1, 400)
    work = np.exp(np.stack([1 + z, 1 - z, np.full(400, 1.2)], 1)) * noisy([1, 1, 1], 400, spread=0.05)
    contexts = np.stack([np.ones(400), z, z * z], 1)
    best = work[200:].sum(0).min()
    with_context, _ = played(UpperBound(context=True), work, contexts)
    without, _ = played(UpperBound(), work)
    rows = np.arange(200, 400)
    assert work[rows, with_context[200:]].sum() <= 1.03 * work[rows].min(1).sum() < 0.8 * best
    assert work[rows, without[200:]].sum() >= 0.9 * best


def test_what_an_arm_would_have_taken_on_all_systems_is_extrapolated_along_the_context():
    """One arm answers the small ones, the other the large ones."""
    z = np.linspace(-1, 1, 200)
    seen = Statistics.empty(3, 3)
    for value in z:
        arm = int(value > 0)
        seen = seen.played(arm, np.array([1, value, value**2]), [10 + 4 * value, 12 - 3 * value][arm], 1.0)
    found = seen.on_all() / 200
    assert found[:2] == pytest.approx([10, 12], rel=0.03)
    assert np.isnan(found[2])


def test_tsallis_weights_are_the_minimiser_of_the_regularised_loss():
    seen = Statistics.empty(3, 1)
    seen = seen.__class__(**{**seen.arrays(), "count": np.array([5.0, 6, 5]), "loss": np.array([4.0, 9.0, 6.5])})
    rate = 2 / np.sqrt(17)

    def objective(w):
        return w @ seen.loss - 4 / rate * (np.sqrt(w) - w / 2).sum()

    found = optimize.minimize(
        objective, np.full(3, 1 / 3), bounds=[(1e-9, 1)] * 3, constraints={"type": "eq", "fun": lambda w: w.sum() - 1}
    )
    drawn = [TsallisInf().play(seen, ONE, turn) for turn in range(400)]
    weights = dict(drawn)
    assert [weights[arm] for arm in range(3)] == pytest.approx(found.x, abs=2e-3)
    shares = np.bincount([arm for arm, _ in drawn], minlength=3) / 400
    assert shares == pytest.approx(found.x, abs=0.08)


def test_tsallis_comes_to_the_best_and_draws_the_same_again():
    work = noisy([1, 2, 2], 1500)
    arms, _ = played(TsallisInf(), work)
    assert (arms[1000:] == 0).mean() > (arms[:300] == 0).mean() > 0.4
    assert np.array_equal(arms, played(TsallisInf(), work)[0])
    assert not np.array_equal(arms[:50], played(TsallisInf(), work, turn=1)[0][:50])


def test_dominance_is_the_share_of_the_diagonal_that_holds_the_solution():
    shift, n = 0.5, 16
    coefficients = np.full((1, 5, n, n), -1.0)
    coefficients[:, 0] = 4 + shift
    coefficients[:, 1, 0] = coefficients[:, 2, -1] = coefficients[:, 3, :, 0] = coefficients[:, 4, :, -1] = 0
    operators = Stencil(coefficients)
    # What is missing at the walls counts: 4 n couplings of 1.
    share = (shift + 4 / n) / (4 + shift)
    assert dominance(operators, 0) == pytest.approx(share)
    assert terms(operators, 0) == pytest.approx([1, 2 * np.log10(10 * share), 4 * np.log10(10 * share) ** 2])
    indefinite = coefficients.copy()
    indefinite[:, 0] = -1
    assert terms(Stencil(indefinite), 0) == pytest.approx([1, -4, 16])
    assert dominance(Stencil(np.zeros_like(coefficients)), 0) == 0
