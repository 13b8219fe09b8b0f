"""The race that chooses where solves begin."""

from __future__ import annotations

import numpy as np
import pytest

from ritz.compute.problems.problem import Arrays, Problem
from ritz.compute.simulation.starts.neighbours import nearest
from ritz.compute.simulation.starts.race import race
from ritz.compute.simulation.starts.start import Start, Starts
from tests.compute.problems.families import SMALL
from tests.compute.simulation.test_correction import solved

RTOL = 1e-8


def begun(name: str, fields: Arrays, seconds: float = 0.0) -> Starts:
    return Starts(name, lambda rows: Start({key: values[rows] for key, values in fields.items()}), seconds)


@pytest.fixture(scope="module")
def elliptic() -> tuple[Problem, Arrays, Arrays]:
    return (SMALL["elliptic"], *solved(SMALL["elliptic"]))


def test_the_quickest_start_wins_and_all_are_recorded(elliptic: tuple[Problem, Arrays, Arrays]) -> None:
    problem, inputs, truth = elliptic
    way, choice = race(problem, inputs, [begun("prediction", truth)], RTOL)
    assert (way.name, choice.chosen) == ("prediction", "prediction")
    assert {one.start for one in choice.tried} == {"own", "prediction"}
    first, second = choice.tried
    assert (first.start, first.systems, first.samples, first.lost, first.missed) == ("prediction", 0, 3, 0, 0)
    assert first.residual is not None
    assert first.residual < 1e-9
    assert (second.residual, second.systems >= 3) == (None, True)
    assert choice.ratio == pytest.approx(second.seconds / first.seconds)
    assert way.solve(problem, inputs, np.arange(2), RTOL).good.all()


def test_what_a_start_costs_counts(elliptic: tuple[Problem, Arrays, Arrays]) -> None:
    problem, inputs, truth = elliptic
    way, choice = race(problem, inputs, [begun("neighbours", truth, seconds=300.0)], RTOL)
    assert (way.starts, choice.chosen) == (None, "own")
    assert choice.tried[1].seconds > 100


def test_a_prediction_with_rough_errors_is_worse_than_zero_for_linear_equations() -> None:
    problem = SMALL["darcy"]
    inputs, truth = solved(problem)
    noise = np.random.default_rng(0).standard_normal(truth["u"].shape)
    way, choice = race(problem, inputs, [begun("prediction", {"u": truth["u"] * (1 + 0.05 * noise)})], RTOL)
    tried = next(one for one in choice.tried if one.start == "prediction")
    assert tried.residual is not None
    assert tried.residual > 1
    # Both solve one system a sample, and that of the prediction has to be assembled as well.
    assert tried.systems == 1
    assert choice.chosen == way.name


def test_a_problem_without_a_step_from_fields_has_its_own_start_alone() -> None:
    problem = SMALL["advection_diffusion"]
    inputs = problem.draw(0, np.arange(3))
    way, choice = race(problem, inputs, [begun("prediction", {})], RTOL)
    assert (way.name, choice.tried, choice.ratio) == ("own", (), None)
    assert [(one.start, one.reason) for one in choice.left_out] == [("prediction", problem.uncorrectable())]
    assert way.solve(problem, inputs, np.arange(3), RTOL).good.all()


def test_the_nearest_of_a_pool_is_found_by_features() -> None:
    problem = SMALL["darcy"]
    pool = problem.draw(0, np.arange(20))
    np.testing.assert_array_equal(nearest(problem, {"a": pool["a"][[7, 3]]}, pool), [7, 3])
