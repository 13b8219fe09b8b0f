from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from ritz.compute.evaluation.metric import Subject
from ritz.compute.evaluation.rollouts.drift import ConservedDrift, drift
from ritz.compute.fields.dimensions import Dimensions
from ritz.compute.problems.darcy import Darcy
from ritz.compute.problems.evolution import Evolution
from ritz.compute.problems.evolutions.burgers import Burgers
from ritz.compute.problems.evolutions.heat import Heat
from ritz.compute.problems.evolutions.kuramoto_sivashinsky import KuramotoSivashinsky
from ritz.compute.problems.problem import Problem
from ritz.compute.simulation.simulate import simulate
from ritz.compute.solvers.factorization.direct import Direct
from tests.compute.problems.evolutions.test_evolution import SMALL

CONSERVING: dict[str, Evolution] = {
    "burgers": Burgers(points=32, steps=4),
    "kuramoto_sivashinsky": KuramotoSivashinsky(points=32, steps=40, store_every=10, end=10.0),
}


def _conserves(problem: Evolution) -> bool:
    """Return whether a problem says that it conserves something."""
    inputs = problem.draw(0, np.arange(1))
    first = {name: values[:, None] for name, values in problem.start(inputs).fields.items()}
    return bool(problem.conserved(inputs, first))


def solved(problem: Problem, n: int = 3) -> Subject:
    inputs = problem.draw(0, np.arange(n))
    truth, _ = simulate(problem, inputs, Direct(), 1e-8)
    return Subject(inputs, truth, truth, Dimensions.of(problem.template(1)), problem)


@pytest.mark.parametrize("problem", CONSERVING.values(), ids=CONSERVING)
def test_the_solver_conserves_what_the_problem_says_and_a_push_is_measured(problem: Evolution) -> None:
    whole = solved(problem)
    pushed = {name: values.copy() for name, values in whole.truth.items()}
    # A push of half the mean magnitude of the first state, at the last but one time.
    size = np.abs(whole.inputs["u0"].astype(np.float64)).mean(axis=1)
    pushed["u"][:, -2] -= 0.5 * size[:, None]
    found = ConservedDrift().of(replace(whole, prediction=pushed))
    assert ConservedDrift().unfit_for(whole) == ""
    assert set(found) == {"integral", "integral_of_the_truth"}
    np.testing.assert_allclose(found["integral"], 0.5, rtol=1e-6)
    # The inputs are rounded to float32, and their mean with them.
    assert np.all(found["integral_of_the_truth"] < 1e-9)
    signed = drift(problem, whole.inputs, pushed)["integral"]
    assert signed.shape == (3, len(problem.times))
    np.testing.assert_allclose(signed[:, -2], -0.5, rtol=1e-6)


@pytest.mark.parametrize("problem", [one for one in SMALL if _conserves(one)], ids=lambda problem: problem.kind)
def test_every_solver_conserves_what_its_problem_says(problem: Evolution) -> None:
    whole = solved(problem)
    found = ConservedDrift().of(whole)
    assert found
    for name, values in found.items():
        assert np.all(values < 1e-6), name


def test_what_conserves_nothing_is_unfit() -> None:
    metric = ConservedDrift()
    assert metric.unfit_for(solved(Heat(shape=(8, 8), steps=2))) == (
        "the problem 'heat' names no quantity that it conserves"
    )
    assert metric.unfit_for(solved(Darcy(shape=(8, 8)))) == "its outputs have no times that follow a known first state"
    whole = solved(CONSERVING["burgers"])
    assert metric.unfit_for(replace(whole, problem=None)) == "the problem is not known, nor what it conserves"
    rest = {"u0": np.zeros_like(whole.inputs["u0"])}
    assert metric.unfit_for(replace(whole, inputs=rest)) == (
        "the conserved quantity 'integral' is zero everywhere at time zero"
    )
