from __future__ import annotations

import logging

import numpy as np
import pytest
from pydantic import ValidationError

from ritz.compute.problems.evolutions import burgers
from ritz.compute.problems.evolutions.burgers import Burgers
from ritz.compute.simulation.simulate import simulate
from ritz.compute.solvers import newton
from ritz.compute.solvers.factorization.direct import Direct
from ritz.tasks.recipes import load


@pytest.fixture(scope="module")
def solved():
    problem = Burgers(points=32, steps=8)
    inputs = problem.draw(0, np.arange(5))
    fields, ledger = simulate(problem, inputs, Direct(), 1e-8)
    return problem, inputs, fields, ledger


def exact(x, t, viscosity):
    """A solution by the Cole–Hopf transform: −2ν φ′/φ with φ = 1 + ½ exp(−4π²νt) cos 2πx."""
    decay = 0.5 * np.exp(-4 * np.pi**2 * viscosity * t)
    return 4 * np.pi * viscosity * decay * np.sin(2 * np.pi * x) / (1 + decay * np.cos(2 * np.pi * x))


def relative_error(points, steps):
    problem = Burgers(points=points, steps=steps, viscosity=0.05, end=0.5, tolerance=1e-12)
    x = problem.template(1)["x"].values
    u = simulate(problem, {"u0": exact(x, 0, 0.05)[None]}, Direct(), 1e-10)[0]["u"][0, -1]
    reference = exact(x, 0.5, 0.05)
    return np.linalg.norm(u - reference) / np.linalg.norm(reference)


def test_error_against_a_cole_hopf_solution_is_second_order_in_space():
    errors = [relative_error(points, 64) for points in (16, 32, 64)]
    assert errors[2] < 0.0015
    assert np.log2(errors[0] / errors[1]) == pytest.approx(2, abs=0.1)
    assert np.log2(errors[1] / errors[2]) == pytest.approx(2, abs=0.1)


def test_error_against_a_cole_hopf_solution_is_second_order_in_time():
    errors = [relative_error(1024, steps) for steps in (4, 8, 16)]
    assert errors[2] < 0.0006
    assert np.log2(errors[0] / errors[1]) == pytest.approx(2, abs=0.1)
    assert np.log2(errors[1] / errors[2]) == pytest.approx(2, abs=0.1)


def test_waves_steepen_and_keep_their_mean():
    # Without viscosity sin 2πx breaks at t = 1/2π; the ring loses energy from then on, not before.
    problem = Burgers(points=256, viscosity=0.002, steps=64, end=0.5)
    x = problem.template(1)["x"].values
    u = simulate(problem, {"u0": np.sin(2 * np.pi * x)[None]}, Direct(), 1e-10)[0]["u"][0]
    energy = np.concatenate([[0.5], np.mean(u**2, axis=1)])
    assert np.all(np.diff(energy) < 0)
    assert energy[16] > 0.97 * energy[0]
    assert energy[-1] < 0.8 * energy[0]
    assert np.abs(np.diff(u[-1])).max() > 0.2
    assert np.abs(u.mean(axis=1)).max() < 1e-10


def test_energy_falls_in_steps_of_any_length():
    for viscosity, steps in ((0.1, 1), (0.01, 2), (0.001, 20)):
        problem = Burgers(points=64, viscosity=viscosity, steps=steps)
        inputs = problem.draw(0, np.arange(4))
        u = simulate(problem, inputs, Direct(), 1e-10)[0]["u"]
        energy = np.sum(np.concatenate([inputs["u0"][:, None], u], axis=1) ** 2, axis=2)
        assert np.all(np.diff(energy, axis=1) < 0)


def test_newton_uses_the_derivatives_of_what_it_solves():
    problem = Burgers(points=8, steps=3)
    now, w = np.random.default_rng(0).standard_normal((2, 1, 8))
    matrices = problem._derivatives(w)
    # The defect is quadratic in w, so central differences are exact but for rounding.
    step = np.eye(8)[:, None]
    change = [problem._defect(now, w - e)[0] - problem._defect(now, w + e)[0] for e in step]
    assert matrices.csr(0).toarray() == pytest.approx(0.5 * np.array(change).T, abs=1e-11)


def test_a_sample_does_not_depend_on_its_block():
    problem = Burgers(points=32, steps=6, viscosity=0.002)
    inputs = problem.draw(0, np.arange(8))
    inputs["u0"][5] *= 2  # needs more iterations than the rest
    whole = simulate(problem, inputs, Direct(), 1e-8)[0]["u"]
    for i in (0, 5):
        alone = simulate(problem, {"u0": inputs["u0"][i : i + 1]}, Direct(), 1e-8)[0]["u"]
        assert np.isfinite(alone).all()
        assert np.array_equal(alone[0], whole[i])


def test_newton_converges_in_a_few_iterations_of_cyclic_systems():
    problem, posed = Burgers(points=32, steps=4), []

    def solve(systems):
        posed.append(systems)
        return Direct().solve(systems, rtol=1e-8)[0].x

    problem.simulate(problem.draw(0, np.arange(4)), solve)
    assert 2 * 4 <= len(posed) <= 5 * 4
    assert all(len(systems) == 4 for systems in posed)
    assert all(systems.operators.pattern is posed[0].operators.pattern for systems in posed)
    matrix = posed[0].operators.csr(0).toarray()
    assert np.count_nonzero(matrix) == 3 * 32
    assert matrix[0, -1] != 0
    assert matrix[-1, 0] != 0


def test_a_sample_on_which_newton_fails_is_recorded_as_failed(caplog):
    problem = Burgers(points=32, steps=3, tolerance=1e-12)
    inputs = problem.draw(0, np.arange(3))

    class Wrong(Direct):
        """Answers the second sample with something else."""

        def solve(self, systems, *, rtol, carry=None):
            solutions, carry = super().solve(systems, rtol=rtol, carry=carry)
            solutions.x[1] *= 0.1
            return solutions, carry

    with caplog.at_level(logging.WARNING):
        fields, ledger = simulate(problem, inputs, Wrong(), 1e-8)
    assert ledger["status"] == ["ok", "failed", "ok"]
    assert np.isnan(fields["u"][1]).all()
    assert np.all(problem.residual(inputs, fields)[[0, 2]] <= 1e-8)
    assert "the iteration did not reach 1.0e-12 in 1 of 3 samples" in caplog.text


def test_residual_is_independent_and_small(solved):
    problem, inputs, fields, ledger = solved
    assert ledger["status"] == ["ok"] * 5
    assert np.all(problem.residual(inputs, fields) <= problem.tolerance * 1.001)
    for step in (0, 3, 7):
        wrong = {"u": fields["u"].copy()}
        wrong["u"][2, step, 5] *= 1.001
        found = problem.residual(inputs, wrong)
        assert found[2] > 1e-5
        assert np.all(np.delete(found, 2) <= 1e-8)
    assert np.all(problem.residual({"u0": inputs["u0"] * np.float32(1.001)}, fields) > 1e-4)


def test_residual_is_that_of_the_newton_systems_for_any_field(solved):
    problem, inputs, _, _ = solved
    u = np.random.default_rng(0).standard_normal((5, 8, 32))
    states = np.concatenate([inputs["u0"][:, None], u], axis=1)
    found = []
    for step in range(8):
        now, w = states[:, step], 0.5 * (states[:, step] + states[:, step + 1])
        defect = problem._defect(now, w)
        found.append(np.linalg.norm(defect, axis=1) / np.linalg.norm(now, axis=1))
    assert problem.residual(inputs, {"u": u}) == pytest.approx(np.max(found, axis=0), rel=1e-11)


def test_stored_fields_keep_the_bound_of_rounding(solved):
    problem, inputs, fields, _ = solved
    stored = {"u": fields["u"].astype(np.float32)}
    found, added = problem.residual(inputs, stored), 2**-24 * problem.rounding(inputs, stored)
    assert np.all(found <= 1e-8 + added)
    assert np.all(found > 0.01 * added)


def test_the_first_states_have_the_amplitude_and_no_mean():
    u0 = Burgers(amplitude=0.6).draw(0, np.arange(500))["u0"]
    assert u0.std() == pytest.approx(0.6, rel=0.05)
    assert np.abs(u0.mean(axis=1)).max() < 1e-6


def test_draws_and_features_do_not_depend_on_the_block():
    problem, ids = Burgers(points=48), np.arange(9)
    whole = problem.draw(4, ids)
    assert whole["u0"].dtype == np.float32
    order = np.random.default_rng(0).permutation(9)
    assert np.array_equal(problem.draw(4, order)["u0"], whole["u0"][order])
    features = problem.features(whole)
    assert (features.shape, features.dtype) == ((9, 16), np.float32)
    assert np.array_equal(problem.features({"u0": whole["u0"][3:5]}), features[3:5])


def test_template_describes_what_is_drawn_and_solved(solved):
    problem, inputs, fields, _ = solved
    template = problem.template(5)
    assert {name: (variable.attrs["role"], variable.dims) for name, variable in template.data_vars.items()} == {
        "u0": ("input", ("sample", "x")),
        "u": ("output", ("sample", "time", "x")),
    }
    for name, field in {**inputs, **fields}.items():
        assert template[name].shape == field.shape
        assert template[name].dtype == np.float32
    assert template["time"].values == pytest.approx(np.arange(1, 9) / 8)
    assert template["time"].attrs["axis"] == "T"
    assert template["x"].values == pytest.approx((np.arange(32) + 0.5) / 32)
    assert template.attrs["symmetries"] == "none"


@pytest.mark.parametrize(("field", "value"), [("points", 3), ("viscosity", 0.0), ("steps", 0), ("tolerance", 1.0)])
def test_a_bad_field_is_named(field, value):
    with pytest.raises(ValidationError, match=field):
        Burgers(**{field: value})


def test_the_shipped_recipe_is_solvable():
    problem = load("burgers").problem
    inputs = problem.draw(0, np.arange(4))
    fields, ledger = simulate(problem, inputs, Direct(), 1e-8)
    assert ledger["status"] == ["ok"] * 4
    assert np.all(problem.residual(inputs, fields) <= 1e-8)


def test_samples_that_whole_steps_lose_are_solved_by_halved_ones(monkeypatch):
    # Fronts that the grid does not resolve, in steps that move them across many cells.
    problem = Burgers(points=64, viscosity=0.001, steps=3)
    inputs = problem.draw(0, np.arange(48))
    found = simulate(problem, inputs, Direct(), 1e-8)[0]["u"]

    def whole(left_over, linearised, x, solve, *, bound, steps, whole):
        return newton._stepped(left_over, linearised, x, solve, bound, steps, halvings=1)

    monkeypatch.setattr(burgers, "newton", whole)
    with np.errstate(all="ignore"):
        before = simulate(problem, inputs, Direct(), 1e-8)[0]["u"]
    lost, still = (~np.isfinite(u).all(axis=(1, 2)) for u in (before, found))
    assert still.sum() < lost.sum()
    assert not np.any(still & ~lost)
    np.testing.assert_array_equal(found[~lost], before[~lost])
    solved = lost & ~still
    assert np.all(problem.residual({"u0": inputs["u0"][solved]}, {"u": found[solved]}) <= 1e-8)
