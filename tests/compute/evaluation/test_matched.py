from __future__ import annotations

import numpy as np
import pytest

from ritz.compute.evaluation.matched import fastest
from ritz.compute.problems.darcy import Darcy
from ritz.compute.problems.evolutions.burgers import Burgers
from ritz.compute.simulation.coarsening import Grids
from ritz.compute.simulation.simulate import simulate
from ritz.compute.solvers.factorization.direct import Direct


def test_the_fastest_accurate_solve_is_found_and_everything_tried_is_told() -> None:
    problem = Darcy(shape=(32, 32))
    inputs = problem.draw(0, np.arange(4))
    reference, _ = simulate(problem, inputs, Direct(), 1e-10)
    found = fastest(problem, inputs, reference, 0.04, rtol=1e-8)
    assert found.complete
    assert (found.error, found.samples) == (0.04, 4)
    tried = {(row.space, row.time, row.rtol): row for row in found.tried}
    error = tried[1, 1, 1e-8].error
    assert error is not None
    assert error < 1e-7
    assert {space for space, _, _ in tried} == {1, 2, 4}
    for row in found.tried:
        assert row.error is not None
        assert row.accurate == (row.error <= 0.04)
        assert row.seconds > 0
    # Four times fewer points are not accurate enough, so it is not tried more loosely, nor is what is coarser.
    assert [row.rtol for row in found.tried if row.space == 4] == [1e-8]
    assert not tried[4, 1, 1e-8].accurate
    reasons = {row.reason: row.grids for row in found.left_out}
    assert (8, 1) in reasons["a finer grid is not accurate enough"]
    assert (1, 2) in reasons["the problem has no field steps"]
    best = found.fastest
    assert best is not None
    assert best.accurate
    assert best.seconds == min(row.seconds for row in found.tried if row.accurate)

    grids = Grids.between(problem, 2, 1)
    assert isinstance(grids, Grids)
    coarse, _ = simulate(grids.coarse, grids.restrict(inputs), Direct(), 1e-8)
    wrong = np.linalg.norm(grids.prolong(coarse)["u"] - reference["u"], axis=(1, 2))
    relative = wrong / np.linalg.norm(reference["u"], axis=(1, 2))
    assert tried[2, 1, 1e-8].error == pytest.approx(relative.mean(), rel=1e-4)


def test_fewer_steps_and_a_looser_newton_are_tried() -> None:
    problem = Burgers(points=32, steps=8, viscosity=0.05)
    inputs = problem.draw(0, np.arange(2))
    reference, _ = simulate(problem, inputs, Direct(), 1e-10)
    found = fastest(problem, inputs, reference, 0.2, rtol=1e-8)
    assert {row.time for row in found.tried} >= {1, 2}
    loose = next(row for row in found.tried if (row.space, row.time, row.rtol) == (1, 1, 1e-3))
    assert loose.error is not None
    assert 1e-9 < loose.error < 1e-2


def test_an_error_that_nothing_reaches_has_no_fastest_solve() -> None:
    problem = Darcy(shape=(8, 8))
    inputs = problem.draw(0, np.arange(2))
    reference = {"u": 1.1 * simulate(problem, inputs, Direct(), 1e-10)[0]["u"]}
    found = fastest(problem, inputs, reference, 0.01, rtol=1e-8)
    assert found.fastest is None
    assert found.tried[0].error == pytest.approx(0.1 / 1.1, rel=1e-6)


def test_the_limit_ends_the_search_and_that_is_said() -> None:
    problem = Darcy(shape=(16, 16))
    inputs = problem.draw(0, np.arange(2))
    reference, _ = simulate(problem, inputs, Direct(), 1e-10)
    found = fastest(problem, inputs, reference, 0.1, rtol=1e-8, limit=0.0)
    assert not found.complete
    assert len(found.tried) == 1
    assert found.fastest is not None
