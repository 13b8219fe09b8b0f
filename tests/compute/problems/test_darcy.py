from __future__ import annotations

import numpy as np
import pytest
from pydantic import TypeAdapter, ValidationError

from ritz.compute.problems.catalogue import AnyProblem
from ritz.compute.problems.darcy import Darcy
from ritz.compute.problems.laws import Lognormal, TwoPhase
from ritz.compute.simulation.simulate import simulate
from ritz.compute.solvers.assembly import diffusion
from ritz.compute.solvers.factorization.direct import Direct
from ritz.compute.solvers.systems import Systems


@pytest.fixture(scope="module", params=[(24, 32), (8, 9, 10)], ids=str)
def solved(request):
    problem = Darcy(shape=request.param)
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


def test_error_in_a_cube_is_second_order():
    errors = []
    for n in (8, 16):
        z, y, x = np.meshgrid(*[(np.arange(n) + 0.5) / n] * 3, indexing="ij")
        a = np.exp(np.sin(2 * x) * np.cos(3 * y) * np.sin(z))
        slopes = (
            np.sin(2 * x) * np.cos(3 * y) * np.cos(z) * a,
            -3 * np.sin(2 * x) * np.sin(3 * y) * np.sin(z) * a,
            2 * np.cos(2 * x) * np.cos(3 * y) * np.sin(z) * a,
        )
        sines = [np.sin(np.pi * z), np.sin(2 * np.pi * y), np.sin(np.pi * x)]
        u = np.prod(sines, axis=0)
        f = 6 * np.pi**2 * a * u
        for axis, (t, waves) in enumerate(((z, 1), (y, 2), (x, 1))):
            others = np.prod([sines[other] for other in range(3) if other != axis], axis=0)
            f -= slopes[axis] * waves * np.pi * np.cos(waves * np.pi * t) * others
        errors.append(np.linalg.norm(solve(a, f) - u) / np.linalg.norm(u))
    assert errors[1] < 0.02
    assert np.log2(errors[0] / errors[1]) == pytest.approx(2, abs=0.15)


def test_error_where_the_permeability_jumps_is_about_first_order():
    # Cells of the coarser grids have their centres among those of the finest.
    solutions = []
    for n in (15, 45, 135):
        problem = Darcy(shape=(n, n), law=TwoPhase(modes=8))
        u = simulate(problem, problem.draw(0, np.arange(3)), Direct(), 1e-8)[0]["u"]
        third = n // 15
        solutions.append(u[:, third // 2 :: third, third // 2 :: third])
    errors = [np.linalg.norm(u - solutions[2]) / np.linalg.norm(solutions[2]) for u in solutions[:2]]
    assert errors[0] < 0.06
    assert 0.8 < np.log(errors[0] / errors[1]) / np.log(3) < 1.8


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
    wrong["u"][2][(5,) * len(problem.shape)] *= 1.001
    found = problem.residual(inputs, wrong)
    assert found[2] > 1e-4
    assert np.all(np.delete(found, 2) <= 1e-8)


def test_residual_equals_that_of_the_operator_for_any_field(solved):
    problem, inputs, _, _ = solved
    u = np.random.default_rng(0).standard_normal((6, *problem.shape))
    operators = diffusion(inputs["a"])
    for i in range(6):
        expected = np.linalg.norm(1 - operators.matvec(i, u[i])) / np.sqrt(np.prod(problem.shape))
        assert problem.residual(inputs, {"u": u})[i] == pytest.approx(expected, rel=1e-12)
        bound = np.linalg.norm(abs(operators.csr(i)) @ np.abs(u[i]).ravel()) / np.sqrt(np.prod(problem.shape))
        assert problem.rounding(inputs, {"u": u})[i] == pytest.approx(bound, rel=1e-12)


def test_template_describes_what_is_drawn_and_solved(solved):
    problem = solved[0]
    template = problem.template(6)
    axes = ("z", "y", "x")[-len(problem.shape) :]
    about = {name: (variable.attrs["role"], variable.attrs["transform"]) for name, variable in template.items()}
    assert about == {"a": ("input", "log"), "u": ("output", "identity")}
    assert template["a"].dims == template["u"].dims == ("sample", *axes)
    for axis, cells in zip(axes, problem.shape, strict=True):
        assert template[axis].values == pytest.approx((np.arange(cells) + 0.5) / cells)
        assert template[axis].attrs["axis"] == axis.upper()


def test_cubes_and_squares_may_be_turned():
    shapes = {(8, 8): "square", (8, 9): "flips", (8, 8, 8): "square", (8, 8, 9): "flips"}
    assert {shape: Darcy(shape=shape).template(1).attrs["symmetries"] for shape in shapes} == shapes


@pytest.mark.parametrize("shape", [(16, 32), (8, 10, 12)], ids=str)
def test_the_first_axis_is_the_first_of_the_shape(shape):
    # Permeable along a thin slab across the first axis: the pressure is low along it.
    problem = Darcy(shape=shape)
    a = np.full((1, *shape), 0.01, dtype=np.float32)
    middle = shape[0] // 2
    a[:, middle - 1 : middle + 1] = 100
    u = simulate(problem, {"a": a}, Direct(), 1e-8)[0]["u"][0]
    assert u[middle].max() < 0.5 * u[middle // 2].max()


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


def test_a_law_that_is_too_rough_for_the_box_is_refused():
    with pytest.raises(ValidationError, match=r"law.alpha is 1.2, expected more than 1.5 in 3 dimensions"):
        Darcy(shape=(8, 8, 8), law=Lognormal(alpha=1.2))
    assert Darcy(shape=(8, 8), law=Lognormal(alpha=1.2)).law == Lognormal(alpha=1.2)


@pytest.mark.parametrize("shape", [(3, 16), (16, -4), (16,), (16, 10**6), (8, 8, 3), (8, 8, 8, 8), "big"])
def test_a_bad_shape_is_named(shape):
    with pytest.raises(ValidationError, match="shape"):
        Darcy(shape=shape)


def test_an_unknown_kind_is_named():
    adapter = TypeAdapter(AnyProblem)
    assert adapter.validate_python("darcy") == Darcy()
    with pytest.raises(ValidationError, match="darcy"):
        adapter.validate_python({"kind": "stokes"})
