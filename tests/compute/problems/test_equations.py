"""What all that follows from the equations of a problem promises, over all families."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from pydantic import TypeAdapter

from ritz.compute.problems.catalogue import AnyProblem
from ritz.compute.problems.derivatives import coloured, coloured_step, hindrance
from ritz.compute.problems.elliptic import Elliptic
from ritz.compute.problems.evolution import Coupling, Evolution
from ritz.compute.problems.evolutions.burgers import Burgers
from ritz.compute.problems.plate import Plate
from ritz.compute.problems.problem import Problem
from ritz.compute.simulation.simulate import simulate
from ritz.compute.solvers.factorization.direct import Direct
from ritz.compute.solvers.operators import Operators
from ritz.compute.solvers.systems import Systems
from tests.compute.problems.families import CORRECTABLE, SMALL, kinds, rough

families = pytest.mark.parametrize("problem", SMALL.values(), ids=SMALL)

STORED = json.loads((Path(__file__).parents[2] / "data" / "residuals.json").read_text())


def tensors(arrays, dtype=torch.float64):
    return {name: torch.from_numpy(values.copy()).to(dtype) for name, values in arrays.items()}


def test_residuals_of_every_family_are_stored():
    assert set(SMALL) <= set(STORED)
    assert {one["problem"]["kind"] for one in STORED.values()} == kinds()


@pytest.mark.parametrize("name", STORED)
def test_residuals_are_those_of_the_release_before(name):
    # Made by the formulas that `equations` took the place of, each by itself in NumPy and in torch.
    stored = STORED[name]
    problem: Problem = TypeAdapter(AnyProblem).validate_python(stored["problem"])
    inputs, fields = problem.draw(stored["seed"], np.arange(2)), rough(problem, 2)
    for measure in ("residual", "boundary", "rounding"):
        np.testing.assert_allclose(getattr(problem, measure)(inputs, fields), stored[measure], rtol=1e-12)
    if "penalty" in stored:
        np.testing.assert_allclose(problem.penalty(tensors(inputs), tensors(fields)), stored["penalty"], rtol=1e-12)
        single = problem.penalty(tensors(inputs, torch.float32), tensors(fields, torch.float32))
        assert single.dtype == torch.float32
        np.testing.assert_allclose(single, stored["penalty"], rtol=1e-4)


def of_step(problem: Evolution, inputs, fields, step: int) -> tuple[Operators, Coupling]:
    found = problem.linearised(inputs, fields, step)
    assert found is not None
    return found


def solved_once(problem: Problem, inputs, fields):
    """Return the fields after one step of Newton's method, and those of a problem in time step by step."""
    direct = Direct()
    if not isinstance(problem, Evolution):
        left = problem.equations(double_all(inputs), fields)
        [(name, values)] = left.items()
        operators = problem.linearised(inputs, fields)
        assert operators is not None
        step = direct.solve(Systems(operators, -values), rtol=1e-10)[0].x
        return {name: fields[name] + step}
    (name,) = fields
    found = {name: fields[name].copy()}
    for k in range(len(problem.times)):
        operators, _ = of_step(problem, inputs, found, k)
        left = problem.equations(double_all(inputs), found)[name][:, k]
        found[name][:, k] += direct.solve(Systems(operators, -np.ascontiguousarray(left)), rtol=1e-10)[0].x
    return found


def double_all(arrays):
    return {name: values.astype(np.float64) for name, values in arrays.items()}


def state(problem: Problem, n: int = 2):
    """Return inputs and fields about a solution, a tenth of its size away."""
    inputs = problem.draw(1, np.arange(n))
    solution, _ = simulate(problem, inputs, Direct(), 1e-10)
    rng = np.random.default_rng(2)
    return inputs, {
        name: values + 0.1 * np.abs(values).max() * rng.uniform(-1, 1, values.shape)
        for name, values in solution.items()
    }


def jvp(problem: Problem, given, name: str, values: np.ndarray, v: np.ndarray) -> np.ndarray:
    """Return the derivative of the equations along v, by reverse differentiation twice."""

    def equations(u):
        return problem.equations(given, {name: u})[name]

    return torch.autograd.functional.jvp(equations, torch.from_numpy(values), torch.from_numpy(v))[1].numpy()


linearised = pytest.mark.parametrize("problem", CORRECTABLE.values(), ids=CORRECTABLE)


@linearised
def test_operators_are_the_derivatives_of_the_equations(problem):
    inputs, fields = state(problem)
    [(name, values)] = fields.items()
    given, (v,) = tensors(inputs), np.random.default_rng(3).standard_normal((1, *values.shape))
    if not isinstance(problem, Evolution):
        operators = problem.linearised(inputs, fields)
        along = jvp(problem, given, name, values, v)
        assert operators.symmetric == np.allclose(operators.csr(0).toarray(), operators.csr(0).toarray().T, rtol=1e-12)
        for i in range(len(v)):
            np.testing.assert_allclose(operators.matvec(i, v[i]), along[i], atol=1e-12 * np.abs(along[i]).max())
        h = 1e-6
        ends = [problem.equations(double_all(inputs), {name: values + sign * h * v})[name] for sign in (1, -1)]
        np.testing.assert_allclose((ends[0] - ends[1]) / (2 * h), along, atol=1e-7 * np.abs(along).max())
        return
    along = jvp(problem, given, name, values, v)
    for step in range(len(problem.times)):
        operators, coupling = of_step(problem, inputs, fields, step)
        total = np.stack([operators.matvec(i, v[i, step]) for i in range(len(v))])
        if step:
            total += coupling.product(v[:, step - 1])
        np.testing.assert_allclose(total, along[:, step], atol=1e-12 * np.abs(along).max())
        w = np.random.default_rng(4).standard_normal(total.shape)
        first, second = (coupling.product(v[:, step]) * w).sum(), (v[:, step] * coupling.transposed(w)).sum()
        assert first == pytest.approx(second, rel=1e-12)


@linearised
def test_colours_give_what_the_problem_assembles(problem):
    inputs, fields = state(problem)
    if isinstance(problem, Plate):
        assert hindrance(problem) == "its fields lie on a mesh, where it has to assemble them itself"
        return
    assert hindrance(problem) == ""
    if isinstance(problem, Evolution):
        [(name, values)] = fields.items()
        before, after = {name: values[:, 0]}, {name: values[:, 1]}
        pairs = [
            (coloured_step(problem, inputs, before, after, k), problem.step_linearised(inputs, before, after, k))
            for k in (0, len(problem.times) - 1)
        ]
    else:
        pairs = [(coloured(problem, inputs, fields), problem.linearised(inputs, fields))]
    for found, assembled in pairs:
        assert found.shape == assembled.shape
        for i in range(len(found)):
            wanted = assembled.csr(i).toarray()
            np.testing.assert_allclose(found.csr(i).toarray(), wanted, atol=1e-13 * np.abs(wanted).max())


@linearised
def test_a_step_of_newtons_method_by_the_operators_solves(problem):
    inputs, fields = state(problem)
    before, after = problem.residual(inputs, fields), problem.residual(inputs, solved_once(problem, inputs, fields))
    assert np.all(before > 1e-3)
    if isinstance(problem, Elliptic | Burgers):
        assert np.all(after < 0.3 * before)
    else:
        assert np.all(after < 1e-9)
