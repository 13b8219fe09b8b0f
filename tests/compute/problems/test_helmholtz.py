from __future__ import annotations

import numpy as np
import pytest
from pydantic import ValidationError

from ritz.compute.problems.helmholtz import Helmholtz
from ritz.compute.simulation.simulate import simulate
from ritz.compute.solvers.assembly import diffusion, with_reaction
from ritz.compute.solvers.factorization.direct import Direct
from ritz.compute.solvers.systems import Systems


@pytest.fixture(scope="module", params=[(20, 25), (8, 9, 10)], ids=str)
def solved(request):
    problem = Helmholtz(shape=request.param, wavenumber=10.0, variation=0.2)
    inputs = problem.draw(0, np.arange(5))
    fields, ledger = simulate(problem, inputs, Direct(), 1e-8)
    return problem, inputs, fields, ledger


def operators_of(k):
    return with_reaction(diffusion(np.ones(k.shape)), -(k.astype(np.float64) ** 2), definite=False)


def relative_error(shape):
    """Against a product of sines under k = 10 (1 + 0.1 Π cos πx), whose right-hand side is put in by hand."""
    grids = np.meshgrid(*((np.arange(cells) + 0.5) / cells for cells in shape), indexing="ij")
    k = 10 * (1 + 0.1 * np.prod(np.cos(np.pi * np.array(grids)), axis=0))
    waves = np.arange(1, len(shape) + 1)
    u = np.prod([np.sin(np.pi * m * grid) for m, grid in zip(waves, grids, strict=True)], axis=0)
    f = (np.pi**2 * (waves**2).sum() - k**2) * u
    solutions, _ = Direct().solve(Systems(operators_of(k[None]), f[None]), rtol=1e-9)
    return np.linalg.norm(solutions.x[0] - u) / np.linalg.norm(u)


@pytest.mark.parametrize("shapes", [[(32, 40), (64, 80)], [(8, 10, 12), (16, 20, 24)]], ids=["2D", "3D"])
def test_error_against_a_manufactured_solution_is_second_order(shapes):
    coarse, fine = (relative_error(shape) for shape in shapes)
    assert fine < {2: 0.01, 3: 0.05}[len(shapes[0])]
    assert np.log2(coarse / fine) == pytest.approx(2, abs=0.2)


def test_phase_error_is_that_of_the_docstring():
    # Along a mode of wave vector (k, 0 …) the grid's wave number is off by (kh)²/24.
    n, m = 64, 7
    u = np.sin(np.pi * m * (np.arange(n) + 0.5) / n)
    square = (diffusion(np.ones((1, n))).matvec(0, u) / u)[n // 2]
    off = 1 - np.sqrt(square) / (np.pi * m)
    assert off == pytest.approx((np.pi * m / n) ** 2 / 24, rel=0.01)


@pytest.mark.parametrize(
    ("shape", "wavenumber", "negative"), [((24, 24), 10.0, 6), ((10, 10, 10), 10.0, 7), ((8, 8), 3.0, 0)]
)
def test_the_matrix_is_indefinite(shape, wavenumber, negative):
    problem = Helmholtz(shape=shape, wavenumber=wavenumber, variation=0.0)
    matrix = operators_of(problem.draw(0, np.arange(1))["k"]).csr(0).toarray()
    assert np.count_nonzero(np.linalg.eigvalsh(matrix) < 0) == negative


def test_negative_eigenvalues_of_the_benchmarks_are_those_of_the_docstring():
    squares = np.pi**2 * np.arange(1, 20) ** 2
    plane, box = squares[:, None] + squares, squares[:, None, None] + squares[:, None] + squares
    assert [np.count_nonzero(plane < k0**2) for k0 in (20, 40)] == [26, 115]
    assert np.count_nonzero(box < 10**2) == 7


def test_the_wave_number_stays_within_the_variation():
    for shape, variation in (((24, 30), 0.02), ((8, 9, 10), 0.2)):
        k = Helmholtz(shape=shape, wavenumber=20.0, variation=variation).draw(0, np.arange(30))["k"]
        axes = tuple(range(1, k.ndim))
        assert np.abs(k / 20 - 1).max(axis=axes) == pytest.approx(variation, rel=1e-5)
        assert k.std(axis=axes).min() > 0.1 * 20 * variation


def test_the_source_is_smooth_and_in_the_middle():
    f = Helmholtz(shape=(65, 65), wavenumber=20.0).source()
    assert f.max() == f[32, 32] == 400
    assert f[32, 42] == pytest.approx(400 * np.exp(-0.5 * (20 * 10 / 65) ** 2))
    assert f.sum() / 65**2 == pytest.approx(2 * np.pi, rel=1e-6)


def test_a_resonance_costs_accuracy_as_the_docstring_says():
    # k² closes in on the eigenvalue of the mode (1, 3) of the grid.
    squares = 4 * 16**2 * np.sin(np.pi * np.array([1, 3]) / 32) ** 2
    largest, bounds, stored = [], [], []
    for off in (1e-1, 1e-3, 1e-5):
        problem = Helmholtz(shape=(16, 16), wavenumber=float(np.sqrt(squares.sum())) * (1 + off), variation=0.0)
        inputs = problem.draw(0, np.arange(1))
        fields, ledger = simulate(problem, inputs, Direct(), 1e-8)
        assert ledger["status"] == ["ok"]
        assert problem.residual(inputs, fields)[0] <= 1e-8
        largest.append(np.abs(fields["u"]).max())
        bounds.append(problem.rounding(inputs, fields)[0])
        stored.append(problem.residual(inputs, {"u": fields["u"].astype(np.float32)})[0])
    assert largest[2] / largest[1] == pytest.approx(100, rel=0.05)
    assert bounds[2] / bounds[1] == pytest.approx(100, rel=0.05)
    assert np.all(np.array(stored) <= 1e-8 + 2**-24 * np.array(bounds))
    assert stored[2] > 1e-3


@pytest.mark.parametrize("turn", [lambda f: f[:, ::-1], lambda f: f[:, :, ::-1], lambda f: f.swapaxes(1, 2)])
def test_solutions_have_the_symmetries_of_the_square(turn):
    problem = Helmholtz(shape=(16, 16), wavenumber=8.0)
    inputs = problem.draw(1, np.arange(2))
    u = simulate(problem, inputs, Direct(), 1e-10)[0]["u"]
    v = simulate(problem, {"k": np.ascontiguousarray(turn(inputs["k"]))}, Direct(), 1e-10)[0]["u"]
    assert v == pytest.approx(turn(u), rel=1e-8, abs=1e-9)
    assert problem.template(1).attrs["symmetries"] == "square"
    assert Helmholtz(shape=(8, 8, 8)).template(1).attrs["symmetries"] == "square"
    assert Helmholtz(shape=(8, 8, 9)).template(1).attrs["symmetries"] == "flips"


def test_residual_is_independent_and_small(solved):
    problem, inputs, fields, ledger = solved
    assert ledger["status"] == ["ok"] * 5
    assert np.all(problem.residual(inputs, fields) <= 1e-8)
    assert problem.residual(inputs, fields) == pytest.approx(np.array(ledger["residual"]), abs=1e-11)
    wrong = {"u": fields["u"].copy()}
    wrong["u"][(2, *[4] * len(problem.shape))] *= 1.001
    found = problem.residual(inputs, wrong)
    assert found[2] > 1e-5
    assert np.all(np.delete(found, 2) <= 1e-8)


def test_residual_and_rounding_are_those_of_the_operator_for_any_field(solved):
    problem, inputs, _, _ = solved
    u = np.random.default_rng(0).standard_normal((5, *problem.shape))
    operators, f = operators_of(inputs["k"]), problem.source()
    found, bound = problem.residual(inputs, {"u": u}), problem.rounding(inputs, {"u": u})
    for i in range(5):
        expected = np.linalg.norm(f - operators.matvec(i, u[i])) / np.linalg.norm(f)
        assert found[i] == pytest.approx(expected, rel=1e-11)
        expected = np.linalg.norm(abs(operators.csr(i)) @ np.abs(u[i]).ravel()) / np.linalg.norm(f)
        assert bound[i] == pytest.approx(expected, rel=1e-11)


def test_stored_fields_keep_the_bound_of_rounding(solved):
    problem, inputs, fields, _ = solved
    stored = {"u": fields["u"].astype(np.float32)}
    found, added = problem.residual(inputs, stored), 2**-24 * problem.rounding(inputs, stored)
    assert np.all(found <= 1e-8 + added)
    assert np.all(found > 0.01 * added)


@pytest.mark.parametrize("shape", [(16, 24), (6, 8, 10)], ids=str)
def test_draws_and_features_do_not_depend_on_the_block(shape):
    problem, ids = Helmholtz(shape=shape), np.arange(9)
    whole = problem.draw(4, ids)
    assert whole["k"].dtype == np.float32
    order = np.random.default_rng(0).permutation(9)
    assert np.array_equal(problem.draw(4, order)["k"], whole["k"][order])
    features = problem.features(whole)
    assert (features.shape, features.dtype) == ((9, 16), np.float32)
    assert np.array_equal(problem.features({"k": whole["k"][3:5]}), features[3:5])


def test_template_describes_what_is_drawn_and_solved(solved):
    problem, inputs, fields, _ = solved
    template = problem.template(5)
    axes = ("z", "y", "x")[-len(problem.shape) :]
    assert {name: variable.attrs["role"] for name, variable in template.data_vars.items()} == {
        "k": "input",
        "u": "output",
    }
    for name, field in {**inputs, **fields}.items():
        assert template[name].dims == ("sample", *axes)
        assert template[name].shape == field.shape
        assert template[name].dtype == np.float32
    for axis, cells in zip(axes, problem.shape, strict=True):
        assert template[axis].attrs["axis"] == axis.upper()
        assert template[axis].values == pytest.approx((np.arange(cells) + 0.5) / cells)


@pytest.mark.parametrize(
    ("field", "value"), [("shape", (16,)), ("shape", (3, 3)), ("wavenumber", 0.0), ("variation", 1.0)]
)
def test_a_bad_field_is_named(field, value):
    with pytest.raises(ValidationError, match=field):
        Helmholtz(**{field: value})
