from __future__ import annotations

import numpy as np
import pytest

from ritz.compute.evaluation.truth import Distances, to_discrete_solution, to_finer_grid
from ritz.compute.problems.darcy import Darcy
from ritz.compute.problems.evolutions.heat import Heat
from ritz.compute.problems.plate import Plate
from ritz.compute.problems.problem import Arrays, Problem
from ritz.compute.simulation.simulate import simulate
from ritz.compute.solvers.factorization.direct import Direct

IDS = np.array([3, 5])


def solved(problem: Problem) -> tuple[Arrays, Arrays]:
    inputs = problem.draw(0, IDS)
    return inputs, simulate(problem, inputs, Direct(), 1e-10)[0]


def to_finer(problem: Problem, inputs: Arrays, truth: Arrays, **asked: float) -> Distances | str:
    return to_finer_grid(problem, inputs, truth, seed=0, ids=IDS, solver=Direct(), rtol=1e-10, **asked)


def test_the_distance_to_the_finer_grid_falls_with_the_square_of_the_cells() -> None:
    """So it does at second order, and then the sum of the rest is a third of it."""
    means = []
    for cells in (16, 32, 64):
        found = to_finer(Darcy(shape=(cells, cells)), *solved(Darcy(shape=(cells, cells))))
        assert isinstance(found, Distances)
        assert found.relative_l2.shape == (2,)
        assert found.points == {"y": 2 * cells, "x": 2 * cells}
        means.append(found.relative_l2.mean())
    assert 3.0 < means[0] / means[1] < 5.0
    assert 3.0 < means[1] / means[2] < 5.0


def test_steps_are_halved_too() -> None:
    problem = Heat(shape=(8, 8), steps=4)
    found = to_finer(problem, *solved(problem))
    assert isinstance(found, Distances)
    assert found.points == {"y": 16, "x": 16, "time": 9}


def test_what_is_not_known_says_why_and_what_takes_too_long_is_not_begun() -> None:
    plate = Plate(cells=8)
    assert to_finer(plate, *solved(plate)) == "fields on a mesh are not carried to another one"
    darcy = Darcy(shape=(8, 8))
    inputs, truth = solved(darcy)
    assert to_finer(darcy, inputs, truth, expected=2.0, limit=10.0) == (
        "a solve on a grid twice as fine may take 32 s, above the limit of 10 s"
    )
    one = to_finer(darcy, inputs, truth, limit=0.0)
    assert isinstance(one, Distances)
    assert len(one.relative_l2) == 1
    other = {"a": np.exp(np.random.default_rng(0).standard_normal(inputs["a"].shape))}
    found = to_finer(darcy, other, truth)
    assert isinstance(found, str)
    assert found.startswith("on a grid twice as fine the inputs of an id are other functions: they differ by 1")


@pytest.mark.parametrize("problem", [Darcy(shape=(16, 16)), Heat(shape=(8, 8), steps=3), Plate(cells=8)])
def test_what_is_added_to_a_solution_is_the_error_of_its_labels(problem: Problem) -> None:
    inputs, truth = solved(problem)
    ((name, exact),) = truth.items()
    noise = np.random.default_rng(0).standard_normal(exact.shape)
    size = 1e-4 * np.linalg.norm(exact) / np.linalg.norm(noise)
    labels = {name: exact + size * noise}
    found = to_discrete_solution(problem, inputs, labels, solver=Direct())
    assert isinstance(found, Distances)
    errors = [np.linalg.norm(size * n) / np.linalg.norm(e) for n, e in zip(noise, exact, strict=True)]
    np.testing.assert_allclose(found.relative_l2, errors, rtol=1e-2)
    refused = to_discrete_solution(problem, inputs, labels, solver=Direct(), expected=2.0, limit=4.0)
    assert refused == "a step may take 8 s, above the limit of 4 s"
    fewer = to_discrete_solution(problem, inputs, labels, solver=Direct(), expected=2.0, limit=10.0)
    assert isinstance(fewer, Distances)
    np.testing.assert_allclose(fewer.relative_l2, found.relative_l2[:1], rtol=1e-9)
