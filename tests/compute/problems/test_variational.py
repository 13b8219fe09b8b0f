from __future__ import annotations

import logging

import numpy as np
import pytest
from pydantic import TypeAdapter, ValidationError

from ritz.compute.problems.catalogue import AnyProblem
from ritz.compute.problems.laws import Lognormal
from ritz.compute.problems.variational import Variational
from ritz.compute.simulation.simulate import simulate
from ritz.compute.solvers.assembly import diffusion
from ritz.compute.solvers.factorization.direct import Direct
from ritz.compute.solvers.minimisers.damped_newton import DampedNewton
from ritz.compute.solvers.minimisers.sobolev_descent import SobolevDescent
from ritz.compute.solvers.operators import Stencil
from ritz.compute.solvers.systems import Systems
from ritz.compute.solvers.transform.transform import Transform


@pytest.fixture(scope="module")
def given():
    problem = Variational(shape=(5, 7), stiffening=3.0)
    inputs = {name: values.astype(np.float64) for name, values in problem.draw(0, np.arange(3)).items()}
    return problem, inputs, np.random.default_rng(0).standard_normal((3, 5, 7))


def by_pairs(inputs, u, stiffening):
    """The energy, cell by cell and pair of slopes by pair of slopes."""
    total = np.zeros(len(u))
    _, ny, nx = u.shape

    for i in range(ny):
        for j in range(nx):
            sides = []
            for line, at, count in ((u[:, :, j], i, ny), (u[:, i, :], j, nx)):
                here = line[:, at]
                below = (here - line[:, at - 1]) * count if at else 2 * here * count
                above = (line[:, at + 1] - here) * count if at + 1 < count else -2 * here * count
                sides.append((below, above))
            total += np.mean([(s**2 + t**2) ** 2 for s in sides[0] for t in sides[1]], axis=0) * stiffening / 4
    linear = diffusion(inputs["a"])
    quadratic = [0.5 * np.sum(v * linear.matvec(k, v)) for k, v in enumerate(u)]
    return total + quadratic - np.sum(inputs["f"] * u, axis=(1, 2))


def test_the_energy_is_the_mean_over_the_pairs_of_slopes(given):
    problem, inputs, u = given
    assert problem.energy(inputs).value(u) == pytest.approx(by_pairs(inputs, u, 3.0), rel=1e-12)


def test_the_equations_are_the_derivatives_of_the_energy(given):
    problem, inputs, u = given
    energy, v = problem.energy(inputs), np.random.default_rng(1).standard_normal(u.shape)
    slope = (energy.value(u + 1e-5 * v) - energy.value(u - 1e-5 * v)) / 2e-5
    assert np.sum(energy.gradient(u) * v, axis=(1, 2)) == pytest.approx(slope, rel=1e-8)
    assert problem.equations(inputs, {"u": u})["u"] == pytest.approx(energy.gradient(u), rel=1e-10, abs=1e-8)


def test_the_matrices_are_the_second_derivatives_on_nine_points(given):
    problem, inputs, u = given
    energy, size = problem.energy(inputs), u[0].size
    matrices = energy.hessian(u)
    for i in range(3):
        matrix = matrices.csr(i).toarray()
        # Columns by central differences.
        ways = np.eye(size).reshape(size, 5, 7)
        columns = []
        for way in ways:
            step = np.zeros_like(u)
            step[i] = 1e-4 * way
            columns.append(((energy.gradient(u + step) - energy.gradient(u - step))[i] / 2e-4).ravel())
        assert matrix == pytest.approx(np.array(columns).T, rel=1e-6, abs=1e-6 * np.abs(matrix).max())
        np.testing.assert_array_equal(matrix, matrix.T)
        assert np.linalg.eigvalsh(matrix).min() > 0
    assert matrices.symmetric
    assert matrices.definite
    assert matrices.pattern is problem.energy(inputs).hessian(0 * u).pattern


def test_error_against_a_manufactured_solution_is_second_order():
    errors = []
    for n in (16, 32, 64):
        y, x = np.meshgrid((np.arange(n) + 0.5) / n, (np.arange(n) + 0.5) / n, indexing="ij")
        pi, sx, cx, sy, cy = np.pi, np.sin(np.pi * x), np.cos(np.pi * x), np.sin(np.pi * y), np.cos(np.pi * y)
        a, ax = 1 + 0.5 * x, 0.5
        u, ux, uy = sx * sy, pi * cx * sy, pi * sx * cy
        uxx, uxy = -(pi**2) * u, pi**2 * cx * cy
        square = ux**2 + uy**2
        square_x, square_y = 2 * (ux * uxx + uy * uxy), 2 * (ux * uxy + uy * uxx)
        f = -(ax * ux + (a + square) * 2 * uxx + square_x * ux + square_y * uy)
        problem = Variational(shape=(n, n))
        found = simulate(problem, {"a": a[None], "f": f[None]}, Direct(), 1e-10)[0]["u"][0]
        errors.append(np.linalg.norm(found - u) / n)
    assert errors[2] < 1e-3
    assert np.log2(errors[0] / errors[1]) == pytest.approx(2, abs=0.2)
    assert np.log2(errors[1] / errors[2]) == pytest.approx(2, abs=0.1)


def test_both_methods_find_the_same_minimum():
    law = Lognormal(sigma=0.2)
    newton = Variational(shape=(16, 16), law=law)
    sobolev = Variational(shape=(16, 16), law=law, method=SobolevDescent())
    inputs = newton.draw(0, np.arange(3))
    one, ledger = simulate(newton, inputs, Direct(), 1e-8)
    other, _ = simulate(sobolev, inputs, Transform(), 1e-8)
    assert ledger["status"] == ["ok"] * 3
    assert np.abs(other["u"] - one["u"]).max() <= 1e-8 * np.abs(one["u"]).max()
    energy = newton.energy(inputs)
    noise = 1e-3 * np.random.default_rng(2).standard_normal(one["u"].shape)
    assert np.all(energy.value(one["u"] + noise) > energy.value(one["u"]))


def test_newton_takes_few_steps_and_descent_a_number_that_hardly_changes_with_the_grid_for_a_smooth_stiffness():
    posed = {}
    for n in (8, 16, 32):
        for method in (DampedNewton(), SobolevDescent()):
            problem = Variational(shape=(n, n), law=Lognormal(sigma=0.2, modes=3), method=method, tolerance=1e-6)
            steps: list[Systems] = []

            def solve(systems, steps=steps):
                steps.append(systems)
                solver = Transform() if isinstance(systems.operators, Stencil) else Direct()
                return solver.solve(systems, rtol=1e-8)[0].x

            problem.simulate(problem.draw(0, np.arange(1)), solve)
            posed[method.kind, n] = len(steps)
    assert all(posed["newton", n] <= 8 for n in (8, 16, 32))
    assert posed["sobolev", 32] <= 1.5 * posed["sobolev", 16]


def test_a_load_that_is_turned_round_turns_the_displacement_round(given):
    problem, inputs, _ = given
    u = simulate(problem, inputs, Direct(), 1e-10)[0]["u"]
    mirrored = simulate(problem, {**inputs, "f": -inputs["f"]}, Direct(), 1e-10)[0]["u"]
    assert mirrored == pytest.approx(-u, rel=1e-9)


def test_a_sample_that_does_not_converge_is_recorded_as_failed(given, caplog):
    _, inputs, _ = given
    problem = Variational(shape=(5, 7), method=DampedNewton(steps=2))
    easy = {**inputs, "f": inputs["f"] * np.array([1, 1e-6, 1])[:, None, None]}
    with caplog.at_level(logging.WARNING):
        fields, ledger = simulate(problem, easy, Direct(), 1e-8)
    assert ledger["status"] == ["failed", "ok", "failed"]
    assert np.isnan(fields["u"][0]).all()
    assert "did not reach 1.0e-10 in 2 of 3 samples" in caplog.text


def test_a_recipe_names_the_method_or_gives_its_settings():
    adapter = TypeAdapter(AnyProblem)
    named = adapter.validate_python({"kind": "variational", "method": "sobolev"})
    assert named == Variational(method=SobolevDescent())
    assert named.model_dump(mode="json")["method"] == "sobolev"
    set_ = adapter.validate_python({"kind": "variational", "method": {"kind": "newton", "smoothness": 1.5}})
    assert adapter.validate_python(set_.model_dump(mode="json")) == set_


@pytest.mark.parametrize(
    ("field", "value"), [("stiffening", 0.0), ("strength", -1.0), ("method", "bfgs"), ("shape", (3, 8))]
)
def test_a_bad_field_is_named(field, value):
    with pytest.raises(ValidationError, match=field):
        Variational(**{field: value})
