"""Samples held against equations: the same ones, another discretisation, others; and a wrong sample among them."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks.published.darcy_files import solved
from ritz.compute.evaluation.agreement import Agreement, agreement, scores, standing_out, verdict
from ritz.compute.problems.darcy import Darcy
from ritz.compute.problems.problem import Arrays, Problem
from ritz.compute.simulation.simulate import simulate
from ritz.compute.solvers.factorization.direct import Direct
from tests.compute.problems.families import SMALL

COUNT, WRONG = 40, 11
PROBLEM = Darcy(shape=(32, 32))


@pytest.fixture(scope="module")
def inputs() -> Arrays:
    return PROBLEM.draw(0, np.arange(COUNT))


@pytest.fixture(scope="module", params=["harmonic", "arithmetic"])
def solutions(request, inputs) -> tuple[str, np.ndarray]:
    fields = np.stack([solved(a.astype(float), request.param == "harmonic") for a in inputs["a"]])
    return request.param, fields.astype(np.float32)


def _found(inputs: Arrays, u: np.ndarray) -> Agreement:
    fields = {"u": u}
    allowed = 1e-8 + 2.0**-23 * PROBLEM.rounding(inputs, fields)
    return agreement(PROBLEM, inputs, fields, allowed, 1e-8, coarse=8)


def test_the_same_equations_and_another_discretisation_are_told_apart(inputs, solutions) -> None:
    means, u = solutions
    found = _found(inputs, u)
    said, scale = verdict(found, 1 / 32)
    assert said == ("same" if means == "harmonic" else "discretisation")
    assert not standing_out(found).any()
    assert found.solved.all() == (means == "harmonic")
    assert 0.005 < scale < 0.05
    if means == "arithmetic":
        # The estimate is the distance to what Ritz's own equations give.
        exact = np.stack([solved(a.astype(float), True) for a in inputs["a"]])
        true = np.linalg.norm((u - exact).reshape(COUNT, -1), axis=1) / np.linalg.norm(exact.reshape(COUNT, -1), axis=1)
        assert found.error == pytest.approx(true, rel=0.05)


@pytest.mark.parametrize("sort", ["upside down", "of another", "one value"])
def test_a_wrong_sample_is_named_alone(inputs, solutions, sort: str) -> None:
    means, u = solutions
    wrong = u.copy()
    if sort == "one value":
        wrong[WRONG, 5, 6] *= 1.1
    else:
        wrong[WRONG] = u[WRONG + 1] if sort == "of another" else u[WRONG, ::-1]
    found = _found(inputs, wrong)
    assert np.flatnonzero(standing_out(found)).tolist() == [WRONG]
    assert verdict(found, 1 / 32)[0] == ("same" if means == "harmonic" else "discretisation")


@pytest.mark.parametrize("problem", SMALL.values(), ids=SMALL)
def test_what_a_problem_has_solved_solves_it(problem: Problem) -> None:
    inputs = problem.draw(0, np.arange(12))
    fields, ledger = simulate(problem, inputs, Direct(), 1e-8)
    assert set(ledger["status"]) == {"ok"}
    allowed = problem.attained(1e-8) + 2.0**-49 * problem.rounding(inputs, fields)
    found = agreement(problem, inputs, fields, allowed, 1e-8, coarse=2)
    assert found.solved.all()
    assert verdict(found, 0.1)[0] == "same"
    assert not standing_out(found).any()
    fields = {name: values.copy() for name, values in fields.items()}
    for values in fields.values():
        values[7] = values[7] * 2
    assert np.flatnonzero(standing_out(agreement(problem, inputs, fields, allowed, 1e-8))).tolist() == [7]


def test_fields_in_other_units_solve_other_equations(inputs, solutions) -> None:
    found = _found(inputs, 2 * solutions[1])
    assert verdict(found, 1 / 32)[0] == "other"
    # The whole is wrong, and no sample more than the others.
    assert not standing_out(found).any()


def test_scores_count_spreads_of_logarithms() -> None:
    values = np.exp(0.5 * np.random.default_rng(0).normal(size=1001))
    found = scores(np.append(values, [np.exp(5.0), np.nan, 0.0]), np.zeros(1004, bool))
    assert found[-3] == pytest.approx(10, rel=0.1)
    assert np.isposinf(found[-2])
    assert found[-1] == 0
    assert np.std(found[:1001]) == pytest.approx(1, rel=0.1)
    # What is solved never stands out, and a few samples have no spread.
    assert scores(np.append(values, 1e9), np.append(np.zeros(1001, bool), True))[-1] == 0
    assert scores(np.array([1.0, 1e9]), np.zeros(2, bool)).tolist() == [0, 0]


def test_samples_that_are_alike_need_ten_percent_to_differ() -> None:
    values = np.append(np.full(100, 1e-3), 1.2e-3)
    assert scores(values, np.zeros(101, bool))[-1] == pytest.approx(np.log(1.2) / 0.1)
