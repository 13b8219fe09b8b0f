from __future__ import annotations

import numpy as np
import pytest

from benchmarks.families import posed
from ritz.compute.problems.acoustic import Acoustic
from ritz.compute.problems.darcy import Darcy
from ritz.compute.problems.laws import Lognormal, TwoPhase
from ritz.compute.solvers.assembly import diffusion
from ritz.compute.solvers.choice.auto import Auto
from ritz.compute.solvers.multigrid.multigrid import Multigrid
from ritz.compute.solvers.systems import Systems
from ritz.compute.solvers.transform.transform import Transform


def cost(solver, systems):
    found = solver.expected(systems)
    assert found is not None
    return found


def varied(contrast):
    a = np.exp(np.random.default_rng(0).uniform(0, np.log(contrast), (1, 64, 64)))
    return Systems(diffusion(a), np.ones(a.shape))


def test_a_transform_is_worth_less_the_more_the_coefficients_vary():
    costs = [cost(Transform(), varied(contrast)) for contrast in (1.0 + 1e-9, 1.05, 2, 10, 100)]
    assert costs == sorted(costs)
    assert costs[1] < cost(Multigrid(), varied(1.05))
    assert costs[-1] > 10 * cost(Multigrid(), varied(100))


@pytest.mark.parametrize("law", [Lognormal(), TwoPhase(low=3, high=12)], ids=["lognormal", "two phases"])
def test_the_expected_iterations_of_a_transform_are_those_it_takes(law):
    systems = posed(Darcy(shape=(64, 64), law=law), 4)
    per_iteration = 64**2 * 1.8e-8
    solutions, _ = Transform().solve(systems, rtol=1e-8)
    iterations = cost(Transform(), systems) / per_iteration
    assert iterations == pytest.approx(np.mean(solutions.ledger["iterations"]), rel=0.5)


def test_recycling_is_tried_where_nothing_else_is_sure():
    systems = posed(Acoustic(shape=(24, 24, 24)), 5)
    _, record = Auto(probe=1).choose(systems, 1e-8)
    tried = {row.solver["kind"] for row in record.tried}
    assert tried >= {"recycled", "transform"}
    assert "multigrid" not in tried
