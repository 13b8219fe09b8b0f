"""Standard deviations of a population whose deviation is known, from rungs that are formulas."""

from __future__ import annotations

import numpy as np

from ritz.compute.uncertainty.propagation.chain import Chain
from ritz.compute.uncertainty.propagation.deviations import FEWEST, Deviations, _variances, errors, moments
from ritz.compute.uncertainty.propagation.points import REPLICATES, of_term
from ritz.compute.uncertainty.propagation.propagation import Propagation
from ritz.compute.uncertainty.propagation.telescope import Answered, Wanted
from tests.compute.uncertainty.propagation.test_propagation import RUNGS, U, answering

EXACT = np.sqrt(1.51)
"""Of x₀ + x₁²/2 + x₂ x₃/10."""

PRICES = {"truth": 1.0, "near": 0.01, "unrelated": 0.001}


def test_intervals_hold_whatever_the_surrogate_is_worth() -> None:
    """At least 92 of 100 hold at 95 %; the surrogate is off by 60 % in its mean and by 20 % in its deviation."""
    ask, held = answering(RUNGS, PRICES), 0
    asked = Propagation(quantities=(U,), deviation=True, error=0.1)
    for seed in range(500):
        found = asked.run(ask, list(RUNGS), seed, 2)
        assert found.means is None
        assert found.deviations is not None
        assert found.chain is not None
        assert found.reached
        assert not found.pilot.quasi_random
        assert "unrelated" not in found.chain.rungs
        assert found.deviations.half_width[0] <= 0.1
        held += int(found.deviations.low[0] <= EXACT <= found.deviations.high[0])
    assert held >= 460


def test_intervals_of_solves_alone_hold() -> None:
    ask, held = answering({"truth": RUNGS["truth"]}, PRICES), 0
    asked = Propagation(quantities=(U,), deviation=True, error=0.1)
    for seed in range(500):
        found = asked.run(ask, ["truth"], seed, 0).deviations
        assert found is not None
        held += int(found.low[0] <= EXACT <= found.high[0])
    assert held >= 460


def test_the_estimate_is_the_telescoping_sum_of_moments() -> None:
    """Two terms with coefficients of their own for values and squares, beside the formula written out."""
    chain = Chain(("truth", "near"), np.array([[1.2], [0.7]]), np.ones((2, 2)), (1.01, 0.01))
    centres = {"truth": np.array([3.4]), "near": np.array([5.5])}
    telescope = Deviations(chain, np.zeros((2, 2)), centres, np.array([1.2]), 0, 0.95)
    ask = answering(RUNGS, PRICES)
    for term in range(2):
        for answered in ask(list(telescope.asked(term, FEWEST))):
            telescope.add(answered)
    by_term = []
    for term, rungs in enumerate((("truth", "near"), ("near",))):
        wanted = [
            Wanted(term, rungs, replicate, of_term(0, term, replicate, 0, FEWEST, 0)) for replicate in range(REPLICATES)
        ]
        answers: list[Answered] = list(ask(wanted))
        by_term.append([np.concatenate([one.values[at] for one in answers]) for at in range(len(rungs))])
    (true, low), (other,) = by_term
    first = (true - 3.4).mean() - 1.2 * (low - 5.5).mean() + 1.2 * (other - 5.5).mean()
    second = ((true - 3.4) ** 2).mean() - 0.7 * ((low - 5.5) ** 2).mean() + 0.7 * ((other - 5.5) ** 2).mean()
    of_first = [true - 3.4 - 1.2 * (low - 5.5), 1.2 * (other - 5.5)]
    noise = sum(one.reshape(REPLICATES, -1).mean(axis=1).var(ddof=1) / REPLICATES for one in of_first)
    found = telescope.estimates()
    np.testing.assert_allclose(found.value, [np.sqrt(second - first**2 + noise)], rtol=1e-12)
    assert found.low[0] < found.value[0] < found.high[0]
    assert found.samples == (REPLICATES * FEWEST, REPLICATES * FEWEST)


def test_a_constant_has_no_deviation_and_is_known_at_once() -> None:
    ask = answering({"truth": lambda x: np.full(len(x), 2.0)}, PRICES)
    found = Propagation(quantities=(U,), deviation=True, error=1e-9).run(ask, ["truth"], 0, 0)
    assert found.deviations is not None
    assert (found.deviations.value[0], found.deviations.half_width[0]) == (0.0, 0.0)
    assert found.deviations.samples == (REPLICATES * FEWEST,)


def test_columns_are_values_and_squares_about_a_centre() -> None:
    np.testing.assert_array_equal(
        moments(np.array([[1.0, 5.0], [4.0, 6.0]]), np.array([2.0, 5.0])), [[-1, 0, 1, 0], [2, 1, 4, 1]]
    )
    np.testing.assert_allclose(errors(np.array([0.1, 2.0]), np.array([3.0, 0.0])), [np.inf, np.inf, 0.6, 4.0])


def test_each_replicate_of_a_term_is_left_out_once() -> None:
    rng = np.random.default_rng(0)
    parts = np.concatenate([rng.standard_normal((2, 5, 3)), 9 + rng.standard_normal((2, 5, 3))], axis=2)
    whole, left_out = _variances(parts)

    def variance(first: np.ndarray, second: np.ndarray) -> np.ndarray:
        mean = first.mean(axis=0) + second.mean(axis=0)
        noise = sum(one[:, :3].var(axis=0, ddof=1) / len(one) for one in (first, second))
        return np.asarray(mean[3:] - mean[:3] ** 2 + noise)

    np.testing.assert_allclose(whole, variance(*parts), rtol=1e-12)
    for at in range(5):
        np.testing.assert_allclose(left_out[0, at], variance(np.delete(parts[0], at, 0), parts[1]), rtol=1e-12)
        np.testing.assert_allclose(left_out[1, at], variance(parts[0], np.delete(parts[1], at, 0)), rtol=1e-12)


def test_a_factor_of_the_quantity_is_one_of_its_deviation() -> None:
    """The values are far from 0, beside their deviation: squares do not cancel."""
    found = []
    for factor in (1.0, 1e-6):
        rungs = {"truth": lambda x, factor=factor: factor * (1e4 + RUNGS["truth"](x))}
        asked = Propagation(quantities=(U,), deviation=True, error=0.1 * factor)
        found.append(asked.run(answering(rungs, PRICES), ["truth"], 0, 0).deviations)
    one, other = found
    assert one is not None
    assert other is not None
    np.testing.assert_allclose(other.value / 1e-6, one.value, rtol=1e-6)
    np.testing.assert_allclose(other.high / 1e-6, one.high, rtol=1e-6)
