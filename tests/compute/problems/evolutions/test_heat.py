from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from pydantic import ValidationError

from ritz.compute.problems.evolutions.heat import Heat
from ritz.compute.problems.laws import Lognormal
from ritz.compute.simulation.simulate import simulate
from ritz.compute.solvers.assembly import diffusion
from ritz.compute.solvers.factorization.direct import Direct


@pytest.fixture(scope="module")
def solved():
    problem = Heat(shape=(16, 20), steps=6)
    inputs = problem.draw(0, np.arange(5))
    fields, ledger = simulate(problem, inputs, Direct(), 1e-8)
    return problem, inputs, fields, ledger


def centres(n):
    return np.meshgrid((np.arange(n) + 0.5) / n, (np.arange(n) + 0.5) / n, indexing="ij")


def last(a, u0, steps):
    problem = Heat(shape=a.shape, steps=steps)
    return simulate(problem, {"a": a[None], "u0": u0[None]}, Direct(), 1e-10)[0]["u"][0, -1]


def test_error_against_the_exact_decay_is_second_order_in_space():
    # exp(−5π²at) sin(πx) sin(2πy) for constant a, with steps so small that their errors do not show.
    errors = []
    for n in (8, 16, 32):
        y, x = centres(n)
        u0 = np.sin(np.pi * x) * np.sin(2 * np.pi * y)
        exact = np.exp(-7.5 * np.pi**2 * Heat().end) * u0
        errors.append(np.linalg.norm(last(np.full((n, n), 1.5), u0, 64) - exact) / np.linalg.norm(exact))
    assert errors[2] < 0.011
    assert np.log2(errors[0] / errors[1]) == pytest.approx(2, abs=0.15)
    assert np.log2(errors[1] / errors[2]) == pytest.approx(2, abs=0.1)


def test_error_under_a_varying_diffusivity_is_second_order_in_space():
    # The centre of a cell is the centre of the middle one of its thirds.
    states = []
    for n in (8, 24, 72):
        y, x = centres(n)
        a = np.exp(np.sin(2 * x) * np.cos(3 * y))
        states.append(last(a, np.sin(np.pi * x) * np.sin(2 * np.pi * y) * np.exp(x), 4))
    changes = [np.linalg.norm(fine[1::3, 1::3] - coarse) / len(coarse) for coarse, fine in pairwise(states)]
    assert np.log(changes[0] / changes[1]) / np.log(3) == pytest.approx(2, abs=0.1)


def test_error_against_the_matrix_exponential_is_second_order_in_time():
    # A rough diffusivity excites fast modes, which would ring if the first step were not two halves.
    problem = Heat(shape=(16, 16), law=Lognormal(sigma=1.0))
    inputs = problem.draw(0, np.arange(3))
    for i in range(3):
        rates, modes = np.linalg.eigh(diffusion(inputs["a"][i : i + 1]).csr(0).toarray())
        u0 = inputs["u0"][i].astype(np.float64)
        exact = modes @ (np.exp(-rates * problem.end / 2) * (modes.T @ u0.ravel()))
        errors = []
        for steps in (8, 16, 32, 64):
            one = {name: field[i : i + 1] for name, field in inputs.items()}
            u = simulate(Heat(shape=(16, 16), steps=steps), one, Direct(), 1e-10)[0]["u"][0, steps // 2]
            errors.append(np.linalg.norm(u.ravel() - exact) / np.linalg.norm(exact))
        orders = np.log2(np.array(errors[:-1]) / errors[1:])
        assert errors[1] < 0.005
        assert orders == pytest.approx(2, abs=0.15)
        assert orders[-1] == pytest.approx(2, abs=0.01)


def test_times_are_those_of_the_states():
    # One mode of the grid decays by a known factor a step.
    n, steps = 8, 3
    y, x = centres(n)
    u0 = np.sin(np.pi * x) * np.sin(2 * np.pi * y)
    problem = Heat(shape=(n, n), steps=steps, end=0.3)
    u = simulate(problem, {"a": np.ones((1, n, n)), "u0": u0[None]}, Direct(), 1e-10)[0]["u"][0]
    z = 0.05 * 4 * n**2 * (np.sin(np.pi / 2 / n) ** 2 + np.sin(np.pi / n) ** 2)
    factors = np.cumprod([1 / (1 + z), 1 / (1 + z), *[(1 - z) / (1 + z)] * (steps - 1)])
    assert u == pytest.approx(factors[:, None, None] * u0, abs=1e-9)
    assert problem.template(1)["time"].values == pytest.approx([0.05, 0.1, 0.2, 0.3])


def test_the_state_shrinks_in_steps_of_any_length():
    for end in (1e-4, 0.05, 100.0):
        problem = Heat(shape=(16, 20), steps=5, end=end)
        inputs = problem.draw(0, np.arange(3))
        u = simulate(problem, inputs, Direct(), 1e-10)[0]["u"]
        norms = np.linalg.norm(np.concatenate([inputs["u0"][:, None], u], axis=1), axis=(2, 3))
        assert np.all(np.diff(norms, axis=1) < 0)


def test_all_steps_pose_the_same_operators_and_a_good_guess():
    problem = Heat(shape=(16, 20), steps=6)
    posed, answers = [], []

    def solve(systems):
        posed.append(systems)
        answers.append(Direct().solve(systems, rtol=1e-10)[0].x)
        return answers[-1]

    problem.simulate(problem.draw(0, np.arange(4)), solve)
    assert len(posed) == 7
    assert all(systems.operators is posed[0].operators for systems in posed)
    assert posed[0].operators.symmetric
    assert posed[0].operators.definite
    rate = 2 * problem.steps / problem.end
    for systems, x in list(zip(posed, answers, strict=True))[4:]:
        assert np.linalg.norm(systems.guess - x) < 0.7 * np.linalg.norm(systems.rhs / rate - x)


def test_residual_is_independent_and_small(solved):
    problem, inputs, fields, ledger = solved
    assert ledger["status"] == ["ok"] * 5
    assert np.all(problem.residual(inputs, fields) <= 1e-8)
    assert problem.residual(inputs, fields) == pytest.approx(np.array(ledger["residual"]), abs=1e-11)
    for step in (0, 1, 3, 6):
        wrong = {"u": fields["u"].copy()}
        wrong["u"][2, step, 5, 5] *= 1.001
        found = problem.residual(inputs, wrong)
        assert found[2] > 1e-6
        assert np.all(np.delete(found, 2) <= 1e-8)
    assert np.all(problem.residual({**inputs, "u0": inputs["u0"] * np.float32(1.001)}, fields) > 1e-4)


def test_residual_and_rounding_are_those_of_the_operators_for_any_field(solved):
    problem, inputs, _, _ = solved
    u = np.random.default_rng(0).standard_normal((5, 7, 16, 20))
    found, bound = problem.residual(inputs, {"u": u}), problem.rounding(inputs, {"u": u})
    half = 0.5 * problem.end / problem.steps
    for i in range(5):
        matrix = diffusion(inputs["a"]).csr(i)
        states = np.concatenate([inputs["u0"][i : i + 1], u[i]]).reshape(8, -1)
        residuals, bounds = [], []
        for n in range(7):
            now, then, norm = states[n], states[n + 1], np.linalg.norm(states[n])
            w = then if n < 2 else 0.5 * (now + then)
            size = abs(then) if n < 2 else 0.5 * (abs(now) + abs(then))
            residuals.append(np.linalg.norm(now - w - half * (matrix @ w)) / norm)
            bounds.append(np.linalg.norm(abs(now) + size + half * (abs(matrix) @ size)) / norm)
        assert found[i] == pytest.approx(max(residuals), rel=1e-11)
        assert bound[i] == pytest.approx(max(bounds), rel=1e-11)


def test_stored_fields_keep_the_bound_of_rounding(solved):
    problem, inputs, fields, _ = solved
    stored = {"u": fields["u"].astype(np.float32)}
    found, added = problem.residual(inputs, stored), 2**-24 * problem.rounding(inputs, stored)
    assert np.all(found <= 1e-8 + added)
    assert np.all(found > 0.01 * added)


def test_solutions_have_the_symmetries_of_the_square():
    problem = Heat(shape=(12, 12), steps=3)
    inputs = problem.draw(1, np.arange(2))
    u = simulate(problem, inputs, Direct(), 1e-10)[0]["u"]
    for turn in (lambda f: f[..., ::-1, :], lambda f: f[..., ::-1], lambda f: f.swapaxes(-1, -2)):
        turned = {name: np.ascontiguousarray(turn(field)) for name, field in inputs.items()}
        assert simulate(problem, turned, Direct(), 1e-10)[0]["u"] == pytest.approx(turn(u), abs=1e-8)
    assert problem.template(1).attrs["symmetries"] == "square"


def test_draws_and_features_do_not_depend_on_the_block():
    problem, ids = Heat(shape=(16, 24)), np.arange(9)
    whole = problem.draw(4, ids)
    order = np.random.default_rng(0).permutation(9)
    again = problem.draw(4, order)
    for name in ("a", "u0"):
        assert whole[name].dtype == np.float32
        assert np.array_equal(again[name], whole[name][order])
    features = problem.features(whole)
    assert (features.shape, features.dtype) == ((9, 16), np.float32)
    some = {name: field[3:5] for name, field in whole.items()}
    assert np.array_equal(problem.features(some), features[3:5])


def test_template_describes_what_is_drawn_and_solved(solved):
    problem, inputs, fields, _ = solved
    template = problem.template(5)
    assert {name: (variable.attrs["role"], variable.dims) for name, variable in template.data_vars.items()} == {
        "a": ("input", ("sample", "y", "x")),
        "u0": ("input", ("sample", "y", "x")),
        "u": ("output", ("sample", "time", "y", "x")),
    }
    for name, field in {**inputs, **fields}.items():
        assert template[name].shape == field.shape
        assert template[name].dtype == np.float32
    assert template["time"].attrs["axis"] == "T"
    assert Heat().template(10**6)["u"].values.strides[0] == 0


@pytest.mark.parametrize(("field", "value"), [("steps", 0), ("end", 0.0), ("shape", (2, 2)), ("initial", "lognormal")])
def test_a_bad_field_is_named(field, value):
    with pytest.raises(ValidationError, match=field):
        Heat(**{field: value})
