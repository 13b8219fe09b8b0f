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
from ritz.compute.problems.evolution import Coupling, Evolution
from ritz.compute.problems.iterated import Iterated
from ritz.compute.problems.plate import Plate
from ritz.compute.problems.problem import Problem
from ritz.compute.problems.variational import Variational
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
        operators = problem.linearised(inputs, fields)
        assert operators is not None
        return moved(fields, direct.solve(Systems(operators, -vectors(left, operators)), rtol=1e-10)[0].x)
    found = {name: values.copy() for name, values in fields.items()}
    for k in range(len(problem.times)):
        operators, _ = of_step(problem, inputs, found, k)
        left = at(problem.equations(double_all(inputs), found), k)
        change = direct.solve(Systems(operators, -vectors(left, operators)), rtol=1e-10)[0].x
        for name, values in moved(at(found, k), change).items():
            found[name][:, k] = values
    return found


def at(fields, step: int):
    return {name: values[:, step] for name, values in fields.items()}


def vectors(fields, operators: Operators) -> np.ndarray:
    """Return fields as vectors of the unknowns, ``(n, *operators.shape)``: one output after the other."""
    return np.concatenate([values.reshape(len(values), -1) for values in fields.values()], axis=1).reshape(
        -1, *operators.shape
    )


def moved(fields, change: np.ndarray):
    """Return fields and a change of the unknowns together."""
    ends = np.cumsum([values[0].size for values in fields.values()])[:-1]
    parts = np.split(change.reshape(len(change), -1), ends, axis=1)
    return {
        name: values + part.reshape(values.shape) for (name, values), part in zip(fields.items(), parts, strict=True)
    }


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


def jvp(problem: Problem, given, fields, v):
    """Return the derivatives of the equations along v by output, by reverse differentiation twice."""

    def equations(*values):
        left = problem.equations(given, dict(zip(fields, values, strict=True)))
        return tuple(left[name] for name in fields)

    at, along = (tuple(torch.from_numpy(one[name]) for name in fields) for one in (fields, v))
    found = torch.autograd.functional.jvp(equations, at, along)[1]
    return {name: values.numpy() for name, values in zip(fields, found, strict=True)}


linearised = pytest.mark.parametrize("problem", CORRECTABLE.values(), ids=CORRECTABLE)


@linearised
def test_operators_are_the_derivatives_of_the_equations(problem):
    inputs, fields = state(problem)
    rng = np.random.default_rng(3)
    v = {name: rng.standard_normal(values.shape) for name, values in fields.items()}
    along = jvp(problem, tensors(inputs), fields, v)
    largest = max(np.abs(values).max() for values in along.values())
    if not isinstance(problem, Evolution):
        operators = problem.linearised(inputs, fields)
        assert operators is not None
        assert operators.symmetric == np.allclose(operators.csr(0).toarray(), operators.csr(0).toarray().T, rtol=1e-12)
        for i, (one, wanted) in enumerate(zip(vectors(v, operators), vectors(along, operators), strict=True)):
            np.testing.assert_allclose(operators.matvec(i, one), wanted, atol=1e-12 * np.abs(wanted).max())
        h = 1e-6
        shaken = [{name: values + sign * h * v[name] for name, values in fields.items()} for sign in (1, -1)]
        ends = [problem.equations(double_all(inputs), one) for one in shaken]
        for name, wanted in along.items():
            np.testing.assert_allclose((ends[0][name] - ends[1][name]) / (2 * h), wanted, atol=1e-7 * largest)
        return
    for step in range(len(problem.times)):
        operators, coupling = of_step(problem, inputs, fields, step)
        now = vectors(at(v, step), operators)
        total = np.stack([operators.matvec(i, one) for i, one in enumerate(now)])
        if step:
            total += coupling.product(vectors(at(v, step - 1), operators))
        np.testing.assert_allclose(total, vectors(at(along, step), operators), atol=1e-12 * largest)
        w = np.random.default_rng(4).standard_normal(total.shape)
        first, second = (coupling.product(now) * w).sum(), (now * coupling.transposed(w)).sum()
        assert first == pytest.approx(second, rel=1e-12)


@linearised
def test_colours_give_what_the_problem_assembles(problem):
    inputs, fields = state(problem)
    if isinstance(problem, Plate):
        assert hindrance(problem) == "its fields lie on a mesh, where it has to assemble them itself"
        return
    if isinstance(problem, Variational):
        assert "couple beyond the nearest neighbours" in hindrance(problem)
        return
    assert hindrance(problem) == ""
    if isinstance(problem, Evolution):
        before, after = at(fields, 0), at(fields, 1)
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
    if isinstance(problem, Iterated):
        assert np.all(after < 0.3 * before)
    else:
        assert np.all(after < 1e-9)
