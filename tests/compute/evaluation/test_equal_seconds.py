from __future__ import annotations

import numpy as np
import pytest

from ritz.compute.evaluation.equal_seconds import most_accurate
from ritz.compute.evaluation.matched import fastest
from ritz.compute.problems.evolutions.burgers import Burgers
from ritz.compute.problems.evolutions.kuramoto_sivashinsky import KuramotoSivashinsky
from ritz.compute.problems.problem import Arrays, Problem
from ritz.compute.simulation.simulate import simulate
from ritz.compute.solvers.factorization.direct import Direct

CHAOS = KuramotoSivashinsky(points=64, steps=80, store_every=4, end=20.0)


@pytest.fixture(scope="module")
def solved() -> tuple[Arrays, Arrays]:
    return of(CHAOS)


def of(problem: Problem, n: int = 3) -> tuple[Arrays, Arrays]:
    inputs = problem.draw(0, np.arange(n))
    return inputs, simulate(problem, inputs, Direct(), 1e-10)[0]


def test_with_time_enough_it_is_the_solver_itself_and_has_no_error(solved: tuple[Arrays, Arrays]) -> None:
    found = most_accurate(CHAOS, *solved, 100.0, rtol=1e-8)
    assert found.complete
    assert found.best is not None
    assert (found.best.space, found.best.time) == (1, 1)
    assert found.best.error is not None
    assert found.best.error < 1e-12
    assert found.times == tuple(CHAOS.times)
    assert found.valid_time == pytest.approx(20.0)
    assert max(found.nrmse) < 1e-12
    np.testing.assert_allclose(found.correlation, 1)
    # Explicit steps are tried at one tolerance; points and steps are both coarsened.
    assert len({(one.space, one.time) for one in found.tried}) == len(found.tried)
    assert {(1, 2), (2, 1), (2, 4)} <= {(one.space, one.time) for one in found.tried}


def test_in_less_time_it_is_the_most_accurate_of_those_that_are_as_quick(solved: tuple[Arrays, Arrays]) -> None:
    whole = most_accurate(CHAOS, *solved, 100.0, rtol=1e-8)
    seconds = sorted(one.seconds for one in whole.tried)[len(whole.tried) // 2]
    found = most_accurate(CHAOS, *solved, seconds, rtol=1e-8)
    good = [one for one in found.tried if one.seconds <= seconds and one.error is not None]
    assert found.best in good
    assert found.best is not None
    assert found.best.error == min(one.error for one in good if one.error is not None)
    assert found.quickest is not None
    assert found.quickest.seconds == min(one.seconds for one in found.tried if one.error is not None)
    assert len(found.nrmse) == len(found.correlation) == 20


def test_where_nothing_is_as_quick_there_is_none_and_the_quickest_is_told(solved: tuple[Arrays, Arrays]) -> None:
    found = most_accurate(CHAOS, *solved, 1e-9, rtol=1e-8)
    assert found.best is None
    assert found.quickest in found.tried
    assert found.nrmse == ()
    assert found.valid_time is None
    reasons = {one.reason: one.grids for one in found.left_out}
    assert (1, 1) in reasons["a solve on a coarser grid takes longer"]


def test_steps_that_pose_systems_are_tried_from_the_loosest_tolerance_on() -> None:
    problem = Burgers(points=32, steps=8, viscosity=0.05)
    found = most_accurate(problem, *of(problem, 2), 100.0, rtol=1e-8)
    rtols = [one.rtol for one in found.tried if (one.space, one.time) == (1, 1)]
    assert rtols == [1e-1, 1e-2, 1e-3, 1e-4, 1e-6, 1e-8]
    assert found.best is not None
    assert found.best.error is not None
    assert found.best.error < 1e-5


def test_the_limit_ends_the_search_and_that_is_said(solved: tuple[Arrays, Arrays]) -> None:
    found = most_accurate(CHAOS, *solved, 100.0, rtol=1e-8, limit=0.0)
    assert not found.complete
    assert len(found.tried) == 1


def test_the_fastest_solve_of_explicit_steps_is_tried_at_one_tolerance(solved: tuple[Arrays, Arrays]) -> None:
    found = fastest(CHAOS, *solved, 0.5, rtol=1e-8)
    assert {one.rtol for one in found.tried} == {1e-8}
    assert found.fastest is not None
    assert found.fastest.time > 1
