from __future__ import annotations

import logging

import numpy as np
import pytest
from pydantic import ValidationError

from ritz.compute.problems import elliptic
from ritz.compute.problems.elliptic import Elliptic
from ritz.compute.problems.laws import Lognormal, TwoPhase
from ritz.compute.simulation.simulate import simulate
from ritz.compute.solvers.assembly import diffusion
from ritz.compute.solvers.factorization.direct import Direct


class Answers:
    """Answers like a solver and keeps what was posed; ``spoil`` may change the answers of a batch."""

    def __init__(self, spoil=lambda _, x: x):
        self.posed, self.spoil = [], spoil

    def __call__(self, systems):
        self.posed.append(systems)
        return self.spoil(len(self.posed) - 1, Direct().solve(systems, rtol=1e-8)[0].x)


@pytest.fixture(scope="module")
def solved():
    problem = Elliptic(shape=(20, 24))
    inputs = problem.draw(0, np.arange(6))
    answers = Answers()
    return problem, inputs, problem.simulate(inputs, answers), answers.posed


def centres(ny, nx):
    return np.meshgrid((np.arange(ny) + 0.5) / ny, (np.arange(nx) + 0.5) / nx, indexing="ij")


def left_over(inputs, growth, u):
    """F by the operators."""
    a = inputs["a"].astype(np.float64)
    linear, cubic = diffusion(a), diffusion(np.full_like(a, growth))
    sums = [linear.matvec(i, u[i]) + cubic.matvec(i, u[i] ** 3 / 3) for i in range(len(u))]
    return inputs["f"].astype(np.float64) - np.array(sums)


def test_error_against_a_manufactured_solution_is_second_order():
    growth, errors = 2.0, []
    for n in (16, 32, 64):
        y, x = centres(n, n)
        a = np.exp(np.sin(2 * x) * np.cos(3 * y))
        ax, ay = 2 * np.cos(2 * x) * np.cos(3 * y) * a, -3 * np.sin(2 * x) * np.sin(3 * y) * a
        u = 1.5 * np.sin(np.pi * x) * np.sin(2 * np.pi * y)
        ux = 1.5 * np.pi * np.cos(np.pi * x) * np.sin(2 * np.pi * y)
        uy = 3 * np.pi * np.sin(np.pi * x) * np.cos(2 * np.pi * y)
        q, qx, qy = a + growth * u**2, ax + 2 * growth * u * ux, ay + 2 * growth * u * uy
        f = 5 * np.pi**2 * q * u - qx * ux - qy * uy
        problem = Elliptic(shape=(n, n), growth=growth)
        found = problem.simulate({"a": a[None], "f": f[None]}, Answers())["u"][0]
        errors.append(np.linalg.norm(found - u) / n)
    assert errors[2] < 2e-3
    assert np.log2(errors[0] / errors[1]) == pytest.approx(2, abs=0.2)
    assert np.log2(errors[1] / errors[2]) == pytest.approx(2, abs=0.1)


def test_one_step_solves_for_a_constant_material():
    # Then −Δz = f for z = a u + β u³/3.
    y, x = centres(24, 24)
    eigenvalue = 2 * (48 * np.sin(np.pi / 48)) ** 2
    z = 5 * np.sin(np.pi * x) * np.sin(np.pi * y)
    problem, answers = Elliptic(shape=(24, 24), growth=3.0), Answers()
    u = problem.simulate({"a": np.full((1, 24, 24), 0.5), "f": eigenvalue * z[None]}, answers)["u"][0]
    assert 0.5 * u + u**3 == pytest.approx(z, rel=1e-9)
    assert len(answers.posed) == 1
    assert answers.posed[0].operators.coefficients == pytest.approx(diffusion(np.ones((1, 24, 24))).coefficients)


def test_nothing_but_the_sign_of_the_sources_sets_that_of_the_temperature(solved):
    problem, inputs, fields, _ = solved
    mirrored = problem.simulate({**inputs, "f": -inputs["f"]}, Answers())["u"]
    assert mirrored == pytest.approx(-fields["u"], rel=1e-9)
    heated = problem.simulate({**inputs, "f": np.abs(inputs["f"])}, Answers())["u"]
    assert heated.min() > 0
    assert np.all(heated >= fields["u"])


def test_newtons_method_needs_few_steps(solved):
    _, inputs, _, posed = solved
    assert 3 <= len(posed) <= 5
    sizes = np.array([np.linalg.norm(systems.rhs.reshape(6, -1), axis=1) for systems in posed])
    sizes /= np.linalg.norm(inputs["f"].reshape(6, -1), axis=1)
    # The last step but one leaves little, and the square of that (or nothing, where it was little enough).
    assert sizes[0] == pytest.approx(1)
    assert np.all(sizes[3] <= 20 * sizes[2] ** 2)


def test_the_matrices_are_the_derivatives(solved):
    problem, inputs, _, _ = solved
    rng = np.random.default_rng(0)
    u = rng.standard_normal((6, 20, 24))
    a = inputs["a"].astype(np.float64)
    equation = elliptic._Equation(a, inputs["f"].astype(np.float64), problem.growth)
    z = a * u + problem.growth * u**3 / 3
    assert equation.temperature(z) == pytest.approx(u, rel=1e-12)
    matrices, weight = equation.jacobian(z)
    y = rng.standard_normal(z.shape)
    step = 1e-6 * weight * y
    change = left_over(inputs, problem.growth, equation.temperature(z - step))
    change -= left_over(inputs, problem.growth, equation.temperature(z + step))
    for i in range(6):
        assert matrices.matvec(i, y[i]) == pytest.approx(change[i] / 2e-6, rel=1e-5, abs=1e-3)


def test_the_matrices_are_m_matrices_and_near_to_symmetric(solved):
    _, _, _, posed = solved
    for systems in posed:
        for i in range(6):
            matrix = systems.operators.csr(i).toarray()
            diagonal = np.diag(matrix)
            assert np.all(matrix - np.diag(diagonal) <= 0)
            assert np.all(matrix.sum(axis=0) > -1e-9 * diagonal)
            # As for −Δ, where it is 2π².
            assert np.linalg.eigvalsh(0.5 * (matrix + matrix.T))[0] > 15
        assert not systems.operators.symmetric
        assert systems.operators.definite


@pytest.mark.parametrize("law", [Lognormal(sigma=1.0), TwoPhase(low=1, high=1000)], ids=lambda law: law.kind)
def test_the_symmetric_part_is_positive_definite_at_higher_contrast_too(law):
    problem, answers = Elliptic(shape=(16, 16), law=law), Answers()
    problem.simulate(problem.draw(0, np.arange(4)), answers)
    for systems in answers.posed:
        matrices = [systems.operators.csr(i).toarray() for i in range(4)]
        assert min(np.linalg.eigvalsh(matrix + matrix.T)[0] for matrix in matrices) > 0


@pytest.mark.parametrize(
    ("fields", "steps"),
    [
        ({"strength": 1e5}, 8),
        ({"growth": 1e6}, 8),
        ({"growth": 1e-6}, 3),
        ({"law": Lognormal(sigma=2.0)}, 12),
        ({"law": TwoPhase(low=1, high=1000), "strength": 1e4}, 30),
    ],
    ids=["hot", "cubic", "linear", "rough", "phases"],
)
def test_halved_steps_lead_there_from_zero(fields, steps):
    problem, answers = Elliptic(shape=(20, 20), **fields), Answers()
    inputs = problem.draw(0, np.arange(4))
    u = problem.simulate(inputs, answers)
    assert np.all(problem.residual(inputs, u) <= 1e-10)
    assert len(answers.posed) <= steps


def test_the_conductivity_varies_with_the_temperature_by_default(solved):
    _, inputs, fields, _ = solved
    assert np.median((fields["u"] ** 2 / inputs["a"]).max(axis=(1, 2))) > 2


def test_residual_and_rounding_equal_those_of_the_operators_for_any_field(solved):
    problem, inputs, _, _ = solved
    u = np.random.default_rng(0).standard_normal((6, 20, 24))
    a, size = inputs["a"].astype(np.float64), np.linalg.norm(inputs["f"].astype(np.float64), axis=(1, 2))
    expected = np.linalg.norm(left_over(inputs, 1.0, u), axis=(1, 2)) / size
    assert problem.residual(inputs, {"u": u}) == pytest.approx(expected, rel=1e-12)
    for i in range(6):
        linear, laplacian = (abs(diffusion(c[i : i + 1]).csr(0)) for c in (a, np.ones_like(a)))
        moved = linear @ np.abs(u[i]).ravel() + laplacian @ np.abs(u[i] ** 3).ravel()
        assert problem.rounding(inputs, {"u": u})[i] == pytest.approx(np.linalg.norm(moved) / size[i], rel=1e-12)


def test_a_sample_that_is_done_has_a_zero_right_hand_side(solved):
    _, inputs, _, _ = solved
    # With almost no sources the equation is almost linear.
    easy = inputs["f"].copy()
    easy[4] *= 1e-4
    problem, answers = Elliptic(shape=(20, 24)), Answers()
    problem.simulate({**inputs, "f": easy}, answers)
    posed = [systems.rhs[4].any() for systems in answers.posed]
    assert posed[0]
    assert not posed[-1]
    assert answers.posed[-1].rhs[5].any()


def test_tolerance_and_not_the_linear_residual_says_how_exact_the_fields_are(solved):
    _, inputs, _, posed = solved
    # Every system is answered with an error of a thousandth.
    problem, answers = Elliptic(shape=(20, 24), tolerance=1e-11), Answers(lambda _, x: 1.001 * x)
    fields = problem.simulate(inputs, answers)
    assert np.all(problem.residual(inputs, fields) <= 1e-11)
    assert len(answers.posed) > len(posed)
    loose = Elliptic(shape=(20, 24), tolerance=1e-3)
    found = loose.residual(inputs, loose.simulate(inputs, Answers()))
    assert 1e-9 < found.max() <= 1e-3


def test_a_system_that_is_not_solved_loses_its_sample_only(solved, caplog):
    problem, inputs, fields, _ = solved

    def spoil(batch, x):
        return np.where((np.arange(6) == 3)[:, None, None], np.nan, x) if batch == 1 else x

    with caplog.at_level(logging.WARNING):
        found = problem.simulate(inputs, Answers(spoil))["u"]
    assert np.isnan(found[3]).all()
    assert np.delete(found, 3, axis=0) == pytest.approx(np.delete(fields["u"], 3, axis=0), rel=1e-12)
    assert "in 1 of 6 samples" in caplog.text


def test_a_sample_that_does_not_converge_is_recorded_as_failed(solved, monkeypatch):
    problem, inputs, _, _ = solved
    monkeypatch.setattr(elliptic, "_STEPS", 2)
    easy = {**inputs, "f": inputs["f"] * np.array([1, 1e-6, 1, 1, 1, 1], dtype=np.float32)[:, None, None]}
    fields, ledger = simulate(problem, easy, Direct(), 1e-8)
    assert ledger["status"] == ["failed", "ok", *["failed"] * 4]
    assert ledger["reason"][0] == "not_finite"
    assert max(ledger["residual"]) <= 1e-8
    assert np.isnan(fields["u"][0]).all()
    assert problem.residual(inputs | easy, fields)[1] <= 1e-10


def test_a_step_that_no_part_of_helps_is_not_taken(solved):
    problem, inputs, _, _ = solved
    found = problem.simulate(inputs, Answers(lambda _, x: -x))["u"]
    assert np.isnan(found).all()


def test_template_describes_material_sources_and_temperature():
    template = Elliptic(shape=(8, 12)).template(3)
    about = {name: (variable.attrs["role"], variable.attrs["transform"]) for name, variable in template.items()}
    assert about == {"a": ("input", "log"), "f": ("input", "identity"), "u": ("output", "identity")}
    assert all(variable.dims == ("sample", "y", "x") for variable in template.values())
    assert template.attrs["symmetries"] == "flips"
    assert Elliptic(shape=(8, 8)).template(1).attrs["symmetries"] == "square"


def test_features_see_material_and_sources(solved):
    problem, inputs, _, _ = solved
    whole = problem.features(inputs)
    assert whole.shape == (6, 16)
    for name, part in (("a", np.s_[:, :8]), ("f", np.s_[:, 8:])):
        other = problem.features({**inputs, name: inputs[name][::-1]})
        assert np.abs(other - whole)[part].max() > 0.1
        assert np.count_nonzero(other != whole) <= whole[part].size


@pytest.mark.parametrize(
    ("field", "value"), [("growth", 0.0), ("strength", -1.0), ("tolerance", 1e-20), ("shape", (3, 8))]
)
def test_a_bad_field_is_named(field, value):
    with pytest.raises(ValidationError, match=field):
        Elliptic(**{field: value})


@pytest.mark.parametrize(
    ("fields", "most"),
    [
        ({}, 4),
        ({"law": Lognormal(sigma=2.0)}, 6),
        ({"law": TwoPhase(low=1, high=1000), "strength": 1e4}, 8),
        ({"strength": 1e5}, 4),
    ],
    ids=["recipe", "rough", "phases", "hot"],
)
def test_no_more_steps_than_the_release_before(fields, most):
    # Which halved a step sample by sample.
    problem, answers = Elliptic(shape=(20, 20), **fields), Answers()
    problem.simulate(problem.draw(0, np.arange(12)), answers)
    assert len(answers.posed) <= most
