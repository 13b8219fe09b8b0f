from __future__ import annotations

import numpy as np
import pytest

from ritz.compute.solvers.assembly import convection_diffusion, diffusion, with_reaction
from ritz.compute.solvers.factorization.direct import Direct
from ritz.compute.solvers.operators import Matrices
from ritz.compute.solvers.systems import Systems
from ritz.compute.solvers.transform.separable import Separable
from ritz.compute.solvers.transform.transform import Transform

WALLS = [("dirichlet", "dirichlet"), ("neumann", "dirichlet"), ("dirichlet", "neumann"), ("neumann", "neumann")]


def rhs(operators, seed=0):
    return np.random.default_rng(seed).standard_normal((len(operators), *operators.shape))


def exact(systems):
    return Direct(library="superlu").solve(systems, rtol=1e-12)[0].x


@pytest.mark.parametrize("first", WALLS)
@pytest.mark.parametrize("second", WALLS)
def test_constant_coefficients_between_any_walls_are_solved_directly(first, second):
    operators = with_reaction(
        diffusion(np.full((3, 9, 14), 0.7), lengths=(1.0, 2.5), walls=(first, second)), 2.0, definite=True
    )
    systems = Systems(operators, rhs(operators))
    solutions, _ = Transform().solve(systems, rtol=1e-12)
    assert solutions.ledger["solver"] == ["transform"] * 3
    assert solutions.ledger["iterations"] == [0] * 3
    assert np.abs(solutions.x - exact(systems)).max() <= 1e-12 * np.abs(solutions.x).max()
    assert Separable.of(operators.coefficients[0]).walls == (first, second)


@pytest.mark.parametrize("shape", [(31,), (8, 9), (6, 5, 7)], ids=str)
def test_a_constant_matrix_is_solved_for_all_at_once(shape):
    operators = diffusion(np.broadcast_to(np.ones(shape), (5, *shape)))
    systems = Systems(operators, rhs(operators))
    at_once = Transform().together(systems)
    assert at_once is not None
    assert np.abs(at_once - exact(systems)).max() <= 1e-12 * np.abs(at_once).max()
    assert np.array_equal(Transform().solve(systems, rtol=1e-10)[0].x, at_once)


def test_varying_coefficients_take_iterations_that_do_not_depend_on_the_grid():
    counts = []
    for n in (24, 48, 96):
        y, x = np.meshgrid(*2 * [(np.arange(n) + 0.5) / n], indexing="ij")
        operators = diffusion(np.exp(np.sin(3 * x) * np.cos(2 * y))[None])
        solutions, _ = Transform().solve(Systems(operators, np.ones((1, n, n))), rtol=1e-8)
        assert solutions.ledger["solver"] == ["transform"]
        counts.append(solutions.ledger["iterations"][0])
    assert max(counts) <= 20
    assert max(counts) - min(counts) <= 2


def test_waves_of_varying_number_take_few_iterations():
    n = 48
    field = np.random.default_rng(0).standard_normal((2, n, n))
    operators = with_reaction(diffusion(np.ones((2, n, n))), -((20 * (1 + 0.02 * field)) ** 2), definite=False)
    systems = Systems(operators, np.ones((2, n, n)))
    solutions, _ = Transform().solve(systems, rtol=1e-8)
    assert solutions.ledger["solver"] == ["transform"] * 2
    assert max(solutions.ledger["iterations"]) <= 20
    assert np.abs(solutions.x - exact(systems)).max() <= 1e-6 * np.abs(solutions.x).max()


def test_a_wind_is_solved_with_the_rest_as_preconditioner():
    operators = convection_diffusion(1.0, (np.ones((1, 17, 16)), np.ones((1, 16, 17))))
    systems = Systems(operators, rhs(operators))
    solutions, _ = Transform().solve(systems, rtol=1e-10)
    assert solutions.ledger["solver"] == ["transform"]
    assert np.abs(solutions.x - exact(systems)).max() <= 1e-8 * np.abs(solutions.x).max()


def test_a_resonance_goes_to_the_direct_solver():
    plain = diffusion(np.ones((1, 8, 8)))
    resonant = Separable.of(plain.coefficients[0]).eigenvalues.ravel()[5]
    model = Separable.of(with_reaction(plain, -resonant, definite=False).coefficients[0])
    assert not model.regular
    assert not model.definite
    wave = with_reaction(plain, -resonant, definite=False)
    solutions, _ = Transform().solve(Systems(wave, rhs(wave)), rtol=1e-8)
    assert solutions.ledger["solver"] == ["direct"]


def test_what_it_cannot_solve_is_said():
    operators = diffusion(np.ones((1, 5, 5)))
    matrix = operators.csr(0)
    sparse = Matrices(matrix.data[None], Matrices.pattern_of(matrix), (5, 5), symmetric=True, definite=True)
    systems = Systems(sparse, np.ones((1, 5, 5)))
    assert "stencils" in Transform().unfit(systems)
    with pytest.raises(ValueError, match="solver is 'transform'"):
        Transform().solve(systems, rtol=1e-8)
