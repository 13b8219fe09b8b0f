from __future__ import annotations

import numpy as np
import pytest
from pydantic import ValidationError

from ritz.compute.problems.acoustic import Acoustic
from ritz.compute.problems.helmholtz import Helmholtz
from ritz.compute.problems.laws import Lognormal
from ritz.compute.simulation.simulate import simulate
from ritz.compute.solvers.assembly import diffusion, with_reaction
from ritz.compute.solvers.factorization.direct import Direct
from ritz.compute.solvers.systems import Systems


def operators_of(a, wavenumber):
    return with_reaction(diffusion(a), np.full(a.shape, -(wavenumber**2)), definite=False)


def relative_error(shape, wavenumber=7.0):
    """Against a product of sines under a = exp(Π cos πx / 2), whose right-hand side is put in by hand."""
    grids = np.meshgrid(*((np.arange(cells) + 0.5) / cells for cells in shape), indexing="ij")
    cosines, angles = np.cos(np.pi * np.array(grids)), np.pi * np.array(grids)
    a = np.exp(0.5 * np.prod(cosines, axis=0))
    waves = np.arange(1, len(shape) + 1)
    sines = np.array([np.sin(m * angle) for m, angle in zip(waves, angles, strict=True)])
    p = np.prod(sines, axis=0)
    f = a * np.pi**2 * (waves**2).sum() * p - wavenumber**2 * p
    for axis, m in enumerate(waves):
        others = [i for i in range(len(shape)) if i != axis]
        slope = -0.5 * np.pi * np.sin(angles[axis]) * np.prod(cosines[others], axis=0)
        f -= a * slope * np.pi * m * np.cos(m * angles[axis]) * np.prod(sines[others], axis=0)
    solutions, _ = Direct().solve(Systems(operators_of(a[None], wavenumber), f[None]), rtol=1e-9)
    return np.linalg.norm(solutions.x[0] - p) / np.linalg.norm(p)


@pytest.mark.parametrize("shapes", [[(32, 40), (64, 80)], [(8, 10, 12), (16, 20, 24)]], ids=["2D", "3D"])
def test_error_against_a_manufactured_solution_is_second_order(shapes):
    coarse, fine = (relative_error(shape) for shape in shapes)
    assert fine < {2: 0.01, 3: 0.05}[len(shapes[0])]
    assert np.log2(coarse / fine) == pytest.approx(2, abs=0.2)


def test_a_medium_without_contrast_is_that_of_the_helmholtz_equation():
    p, u = (problem(shape=(9, 10, 11), wavenumber=8.0) for problem in (Acoustic, Helmholtz))
    ones = np.ones((1, 9, 10, 11), np.float32)
    sound = simulate(p, {"a": ones}, Direct(), 1e-10)[0]["p"]
    assert sound == pytest.approx(simulate(u, {"k": 8 * ones}, Direct(), 1e-10)[0]["u"], rel=1e-8, abs=1e-9)


def test_the_matrix_has_the_negative_eigenvalues_of_the_docstring():
    squares = np.pi**2 * np.arange(1, 20) ** 2
    assert np.count_nonzero(squares[:, None, None] + squares[:, None] + squares < 81) == 4
    a = Acoustic(shape=(10, 10, 10)).draw(0, np.arange(8))["a"]
    operators = operators_of(a.astype(np.float64), 9.0)
    counts = [np.count_nonzero(np.linalg.eigvalsh(operators.csr(i).toarray()) < 0) for i in range(8)]
    assert (min(counts), max(counts)) == (6, 15)


# With k₀ = 60 the wave number outweighs the fluxes in many cells.
@pytest.mark.parametrize("wavenumber", [7.0, 60.0])
@pytest.mark.parametrize("shape", [(20, 25), (8, 9, 10)], ids=str)
def test_residual_and_rounding_are_those_of_the_operator_for_any_field(shape, wavenumber):
    problem = Acoustic(shape=shape, wavenumber=wavenumber)
    inputs = problem.draw(0, np.arange(5))
    p = np.random.default_rng(0).standard_normal((5, *problem.shape))
    f = Helmholtz(shape=problem.shape, wavenumber=wavenumber).source()
    operators = operators_of(inputs["a"].astype(np.float64), wavenumber)
    found, bound = problem.residual(inputs, {"p": p}), problem.rounding(inputs, {"p": p})
    for i in range(5):
        expected = np.linalg.norm(f - operators.matvec(i, p[i])) / np.linalg.norm(f)
        assert found[i] == pytest.approx(expected, rel=1e-11)
        expected = np.linalg.norm(abs(operators.csr(i)) @ np.abs(p[i]).ravel()) / np.linalg.norm(f)
        assert bound[i] == pytest.approx(expected, rel=1e-11)


@pytest.mark.parametrize(
    ("field", "value"),
    [("shape", (16,)), ("shape", (3, 3)), ("wavenumber", 0.0), ("alpha", Lognormal(alpha=1.4))],
)
def test_a_bad_field_is_named(field, value):
    given = {"law": value} if isinstance(value, Lognormal) else {field: value}
    with pytest.raises(ValidationError, match=field):
        Acoustic(**given)
