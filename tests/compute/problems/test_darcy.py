from __future__ import annotations

import json
import pickle

import numpy as np
import pytest
from pydantic import TypeAdapter, ValidationError

from compute.problems.catalogue import AnyProblem
from compute.problems.darcy import Darcy
from compute.problems.laws import Lognormal
from compute.solvers.assembly import diffusion
from compute.solvers.direct import Direct
from compute.solvers.sequence import simulate
from compute.solvers.systems import Systems


@pytest.fixture(scope="module")
def solved():
    problem = Darcy(shape=(24, 32))
    inputs = problem.draw(0, np.arange(6))
    fields, ledger = simulate(problem, inputs, Direct(), 1e-8)
    return problem, inputs, fields, ledger


def centres(n):
    return np.meshgrid((np.arange(n) + 0.5) / n, (np.arange(n) + 0.5) / n, indexing="ij")


def solve(a, f):
    solutions, _ = Direct().solve(Systems(diffusion(a[None]), f[None]), rtol=1e-10)
    return solutions.x[0]


def test_error_against_a_manufactured_solution_is_second_order():
    errors = []
    for n in (16, 32, 64):
        y, x = centres(n)
        a = np.exp(np.sin(2 * x) * np.cos(3 * y))
        ax, ay = 2 * np.cos(2 * x) * np.cos(3 * y) * a, -3 * np.sin(2 * x) * np.sin(3 * y) * a
        u = np.sin(np.pi * x) * np.sin(2 * np.pi * y)
        ux = np.pi * np.cos(np.pi * x) * np.sin(2 * np.pi * y)
        uy = 2 * np.pi * np.sin(np.pi * x) * np.cos(2 * np.pi * y)
        f = 5 * np.pi**2 * a * u - ax * ux - ay * uy
        errors.append(np.linalg.norm(solve(a, f) - u) / n)
    assert errors[2] < 2e-3
    assert np.log2(errors[0] / errors[1]) == pytest.approx(2, abs=0.15)
    assert np.log2(errors[1] / errors[2]) == pytest.approx(2, abs=0.1)


def test_error_against_the_series_of_constant_permeability_is_second_order():
    errors = []
    for n in (16, 32, 64):
        odd = np.arange(1, 400, 2)
        sines = np.sin(np.pi * np.outer((np.arange(n) + 0.5) / n, odd))
        m, k = np.meshgrid(odd, odd, indexing="ij")
        u = sines @ (16 / (np.pi**4 * m * k * (m**2 + k**2))) @ sines.T
        errors.append(np.abs(solve(np.ones((n, n)), np.ones((n, n))) - u).max())
    assert errors[2] < 5e-5
    assert np.log2(errors[0] / errors[1]) == pytest.approx(2, abs=0.1)


def test_flux_through_layers_is_exact():
    # A unit flux across layers has the pressure of resistances in series, at any jump of a.
    a = np.repeat([1.0, 10.0, 0.1, 5.0], 4)[:, None] * np.ones((16, 16))
    resistance = 1 / a[:, 0] / 16
    p = np.cumsum(resistance) - resistance / 2
    interior = diffusion(a[None]).matvec(0, np.repeat(p[:, None], 16, axis=1))[1:-1, 1:-1]
    assert np.abs(interior).max() < 1e-9


def test_residual_is_independent_and_small(solved):
    problem, inputs, fields, ledger = solved
    assert np.all(problem.residual(inputs, fields) <= 1e-8)
    assert problem.residual(inputs, fields) == pytest.approx(np.array(ledger["residual"]), abs=1e-11)
    assert np.all(np.array(ledger["residual"]) <= 1e-8)
    wrong = {"u": fields["u"].copy()}
    wrong["u"][2, 5, 5] *= 1.001
    found = problem.residual(inputs, wrong)
    assert found[2] > 1e-4
    assert np.all(np.delete(found, 2) <= 1e-8)


def test_residual_equals_that_of_the_operator_for_any_field(solved):
    problem, inputs, _, _ = solved
    u = np.random.default_rng(0).standard_normal((6, 24, 32))
    operators = diffusion(inputs["a"])
    for i in range(6):
        expected = np.linalg.norm(1 - operators.matvec(i, u[i])) / np.sqrt(24 * 32)
        assert problem.residual(inputs, {"u": u})[i] == pytest.approx(expected, rel=1e-12)
        bound = np.linalg.norm(abs(operators.csr(i)) @ np.abs(u[i]).ravel()) / np.sqrt(24 * 32)
        assert problem.rounding(inputs, {"u": u})[i] == pytest.approx(bound, rel=1e-12)


def test_stored_fields_keep_the_bound_of_rounding(solved):
    problem, inputs, fields, _ = solved
    stored = {"u": fields["u"].astype(np.float32)}
    found, added = problem.residual(inputs, stored), 2**-24 * problem.rounding(inputs, stored)
    assert np.all(found <= 1e-8 + added)
    assert np.all(found > 0.01 * added)


@pytest.mark.parametrize("turn", [lambda f: f[:, ::-1], lambda f: f[:, :, ::-1], lambda f: f.swapaxes(1, 2)])
def test_solutions_have_the_symmetries_of_the_square(turn):
    problem = Darcy(shape=(16, 16))
    inputs = problem.draw(1, np.arange(2))
    turned = {"a": np.ascontiguousarray(turn(inputs["a"]))}
    u, _ = simulate(problem, inputs, Direct(), 1e-10)
    v, _ = simulate(problem, turned, Direct(), 1e-10)
    assert v["u"] == pytest.approx(turn(u["u"]), rel=1e-9)
    assert problem.template(1).attrs["symmetries"] == "square"
    assert Darcy(shape=(16, 8)).template(1).attrs["symmetries"] == "flips"


def test_template_describes_what_is_drawn_and_solved(solved):
    problem, inputs, fields, _ = solved
    template = problem.template(6)
    roles = {name: variable.attrs["role"] for name, variable in template.data_vars.items()}
    assert roles == {"a": "input", "u": "output"}
    assert template["a"].dims == ("sample", "y", "x")
    for name, field in {**inputs, **fields}.items():
        assert template[name].shape == field.shape
        assert template[name].dtype == np.float32
        assert {"transform", "units", "long_name"} <= template[name].attrs.keys()
    assert inputs["a"].dtype == np.float32
    assert fields["u"].dtype == np.float64
    assert template["y"].values == pytest.approx((np.arange(24) + 0.5) / 24)
    assert template["x"].values == pytest.approx((np.arange(32) + 0.5) / 32)


def test_template_takes_no_memory():
    assert Darcy().template(10**6)["a"].values.strides[0] == 0


def test_axes_are_y_then_x():
    # Permeable along a thin strip of constant y: the pressure is low along it.
    problem = Darcy(shape=(16, 32))
    a = np.full((1, 16, 32), 0.01, dtype=np.float32)
    a[:, 7:9] = 100
    u = simulate(problem, {"a": a}, Direct(), 1e-8)[0]["u"][0]
    assert u[7].max() < 0.5 * u[3].max()


def test_features_measure_the_distance_of_smooth_log_fields():
    problem = Darcy(shape=(32, 32), law=Lognormal(modes=3))
    inputs = problem.draw(0, np.arange(8))
    features = problem.features(inputs)
    assert features.shape == (8, 16)
    assert features.dtype == np.float32
    log = np.log(inputs["a"].astype(np.float64)).reshape(8, -1)
    distance = np.linalg.norm(log[:, None] - log[None], axis=2) / 32
    found = np.linalg.norm(features[:, None] - features[None], axis=2)
    assert found == pytest.approx(distance, abs=2e-5)


def test_features_do_not_depend_on_the_block():
    problem = Darcy(shape=(16, 16))
    inputs = problem.draw(0, np.arange(9))
    whole = problem.features(inputs)
    parts = [problem.features({"a": inputs["a"][i : i + 4]}) for i in (0, 4, 8)]
    assert np.array_equal(np.concatenate(parts), whole)


@pytest.mark.parametrize("shape", [(3, 16), (16, -4), (16,), (16, 10**6), "big"])
def test_a_bad_shape_is_named(shape):
    with pytest.raises(ValidationError, match="shape"):
        Darcy(shape=shape)


def test_problems_go_through_json_and_pickle():
    problem = Darcy(shape=(8, 16), law=Lognormal(tau=5.0))
    adapter = TypeAdapter(AnyProblem)
    assert adapter.validate_python(json.loads(adapter.dump_json(problem))) == problem
    assert adapter.validate_python("darcy") == Darcy()
    assert pickle.loads(pickle.dumps(problem)) == problem
    with pytest.raises(ValidationError, match="darcy"):
        adapter.validate_python({"kind": "stokes"})
