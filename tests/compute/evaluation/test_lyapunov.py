from __future__ import annotations

import numpy as np
import pytest
from pydantic import ValidationError

from benchmarks.lorenz63 import Lorenz63
from benchmarks.lyapunov import no_systems
from ritz.compute.evaluation.lyapunov import Benettin
from ritz.compute.problems.evolution import Evolution
from ritz.compute.problems.evolutions.burgers import Burgers
from ritz.compute.problems.evolutions.heat import Heat
from ritz.compute.problems.evolutions.kuramoto_sivashinsky import KuramotoSivashinsky
from ritz.compute.problems.evolutions.lorenz96 import Lorenz96
from ritz.compute.problems.ranges import Range
from ritz.compute.solvers.factorization.direct import Direct
from ritz.compute.solvers.systems import Systems


def solve(systems: Systems) -> np.ndarray:
    return Direct().solve(systems, rtol=1e-10)[0].x


# 1 and 2 percent, and about four standard errors of the last; `benchmarks.lyapunov` follows all of them longer.
@pytest.mark.parametrize(
    ("problem", "trajectories", "rule", "known", "tolerance"),
    [
        (Lorenz63(), 500, Benettin(intervals=120, transient=40), 0.906, 0.009),
        (Lorenz96(), 100, Benettin(intervals=800, transient=50), 1.68, 0.034),
        (KuramotoSivashinsky(), 24, Benettin(intervals=400, transient=150), 0.0465, 0.008),
    ],
    ids=lambda value: value.kind if isinstance(value, Evolution) else None,
)
def test_the_exponents_of_chaotic_systems_are_those_of_the_literature(
    problem: Evolution, trajectories: int, rule: Benettin, known: float, tolerance: float
) -> None:
    found = rule.exponent(problem, problem.draw(0, np.arange(trajectories)), no_systems)
    assert found.mean == pytest.approx(known, abs=tolerance)
    assert 0 < found.standard_error < tolerance / 2
    stated = problem.lyapunov_exponents(problem.draw(0, np.arange(1)))
    assert stated is None or stated == pytest.approx(known, abs=tolerance)
    assert found.trajectories.shape == (trajectories,)
    assert found.mean == found.trajectories.mean()
    assert found.duration == pytest.approx(rule.intervals * problem.times[0])


def test_problems_know_the_exponents_of_their_samples() -> None:
    problem = Lorenz96(forcing=Range(low=6.0, high=10.0))
    inputs = problem.draw(0, np.arange(120))
    known = problem.lyapunov_exponents(inputs)
    assert known is not None
    found = Benettin(intervals=600, transient=50).exponent(problem, inputs, no_systems).trajectories
    # A trajectory of 120 units of time has its exponent to about 6 percent, all of them their mean to 1.
    assert found.mean() == pytest.approx(known.mean(), rel=0.02)
    assert np.corrcoef(found, known)[0, 1] > 0.95
    assert np.sqrt(np.mean((found - known) ** 2)) < 0.1 * known.mean()


def test_other_equations_have_exponents_that_nobody_measured() -> None:
    for problem in (
        Lorenz96(sites=36),
        Lorenz96(fast=2),
        Lorenz96(forcing=5.9),
        Lorenz96(forcing=Range(low=6.0, high=10.1)),
        KuramotoSivashinsky(length=21.0),
        KuramotoSivashinsky(viscosity=Range(low=0.9, high=1.0)),
        Burgers(),
    ):
        assert problem.lyapunov_exponents(problem.draw(0, np.arange(2))) is None


def test_a_linear_problem_of_implicit_steps_has_the_rate_of_its_slowest_mode() -> None:
    problem = Heat(shape=(8, 8), steps=200, end=2.0)
    inputs = problem.draw(0, np.arange(2)) | {"a": np.ones((2, 8, 8), np.float32)}
    found = Benettin(intervals=20, transient=100).exponent(problem, inputs, solve)
    half = 0.01 / 2 * 2 * 4 * 64 * np.sin(np.pi / 16) ** 2
    np.testing.assert_allclose(found.trajectories, np.log((1 - half) / (1 + half)) / 0.01, rtol=1e-4)


def test_differences_of_all_outputs_are_set_back_together() -> None:
    # Without coupling and forcing the slow variables decay at the rate 1, and the fast ones at the rate c.
    problem = Lorenz96(
        sites=6, fast=2, coupling=0, forcing=0, time_ratio=0.25, amplitude_ratio=4, amplitude=1e-3, end=40.0, spin_up=0
    )
    found = Benettin(intervals=20, transient=20).exponent(problem, problem.draw(0, np.arange(3)), no_systems)
    np.testing.assert_allclose(found.trajectories, -0.25, rtol=1e-2)


def test_the_exponent_depends_on_neither_the_distance_nor_the_directions() -> None:
    problem = Lorenz96(sites=12)
    inputs = problem.draw(0, np.arange(3))
    rates = [
        Benettin(intervals=20, transient=200, distance=distance, seed=seed)
        .exponent(problem, inputs, no_systems)
        .trajectories
        for distance, seed in ((1e-6, 0), (1e-7, 0), (1e-7, 1))
    ]
    np.testing.assert_allclose(rates[1], rates[0], rtol=1e-3)
    np.testing.assert_allclose(rates[2], rates[1], rtol=1e-3)


def test_the_standard_error_is_the_spread_of_the_means_of_other_trajectories() -> None:
    problem, rule = Lorenz96(sites=10), Benettin(intervals=50, transient=20)
    found = [rule.exponent(problem, problem.draw(0, 10 * i + np.arange(10)), no_systems) for i in range(60)]
    spread = np.std([one.mean for one in found], ddof=1)
    assert np.sqrt(np.mean([one.standard_error**2 for one in found])) == pytest.approx(spread, rel=0.3)


def test_trajectories_that_cannot_be_followed_are_refused() -> None:
    problem = Lorenz96()
    inputs = problem.draw(0, np.arange(2))
    rule = Benettin(intervals=2, transient=0)
    with pytest.raises(ValueError, match="got 1 trajectories, expected two or more"):
        rule.exponent(problem, {"u0": inputs["u0"][:1]}, no_systems)
    heat = Heat(shape=(8, 8), steps=4)
    halves = heat.draw(0, np.arange(2))
    with pytest.raises(ValueError, match="transient is 0, and the stored steps of problem 'heat' after it take from"):
        rule.exponent(heat, halves, solve)
    with pytest.raises(ValueError, match="the distance of trajectory 0 from its neighbour is nan after stored step 1"):
        rule.exponent(Lorenz96(steps=20, store_every=20, end=40.0), {"u0": 50 * inputs["u0"]}, no_systems)
    with pytest.raises(ValueError, match="is 0 after stored step 1"):
        Benettin(distance=1e-18).exponent(problem, inputs, no_systems)


def test_a_problem_is_followed_beyond_its_last_time() -> None:
    problem = Burgers(points=16, steps=4, end=0.1)
    found = Benettin(intervals=10, transient=4).exponent(problem, problem.draw(0, np.arange(2)), solve)
    assert found.duration == pytest.approx(0.25)
    assert np.all(found.trajectories < 0.01)


@pytest.mark.parametrize(("field", "value"), [("intervals", 0), ("transient", -1), ("distance", 1.0), ("distance", 0)])
def test_a_bad_field_is_named(field: str, value: float) -> None:
    with pytest.raises(ValidationError, match=field):
        Benettin.model_validate({field: value})
