"""GMRES that stops where its answer stops changing, on waves of varying wave number."""

from __future__ import annotations

import numpy as np
import pytest

from ritz.compute.problems.helmholtz import Helmholtz
from ritz.compute.simulation.posing import first_systems
from ritz.compute.solvers.assembly import diffusion, with_reaction
from ritz.compute.solvers.factorization.direct import Direct
from ritz.compute.solvers.operators import Stencil
from ritz.compute.solvers.systems import Systems
from ritz.compute.solvers.transform.flexible_gmres import FlexibleGMRES
from ritz.compute.solvers.transform.separable import Separable, even


def waves(n: int = 4, variation: float = 0.05) -> Systems:
    """Systems of the Helmholtz equation with right-hand sides that are rough."""
    problem = Helmholtz(shape=(20, 22), wavenumber=10.0, variation=variation)
    posed = first_systems(problem, problem.draw(0, np.arange(n)))
    assert posed is not None
    return Systems(posed.operators, np.random.default_rng(0).standard_normal(posed.rhs.shape))


def iterates(systems: Systems, i: int, count: int) -> list[np.ndarray]:
    """Return the first vectors of GMRES by their definition: the least residuals over Krylov spaces of A M."""
    assert isinstance(systems.operators, Stencil)
    A, b = systems.operators.csr(i).toarray(), systems.rhs[i].ravel()
    inverse = Separable.of(systems.operators.coefficients[i]).inverse()
    found, space = [np.zeros_like(b)], np.empty((len(b), 0))
    v = b
    for _ in range(count):
        v = v - space @ (space.T @ v)
        v = v - space @ (space.T @ v)
        space = np.column_stack([space, v / np.linalg.norm(v)])
        Z = np.column_stack([inverse(column.reshape(systems.operators.shape)).ravel() for column in space.T])
        found.append(Z @ np.linalg.lstsq(A @ Z, b)[0])
        v = A @ Z[:, -1]
    return found


def test_it_stops_at_the_second_small_change_in_a_row() -> None:
    systems = waves()
    for i in range(len(systems)):
        attempt, _ = FlexibleGMRES().attempt(systems, i, rtol=1.0, carry=None)
        x = iterates(systems, i, 15)
        small = [np.linalg.norm(x[k] - x[k - 1]) <= 0.1 * np.linalg.norm(x[k]) for k in range(1, 16)]
        stop = next(k for k in range(2, 16) if small[k - 2] and small[k - 1])
        assert attempt.iterations == attempt.matvecs == stop
        assert 3 <= stop <= 10
        assert attempt.x == pytest.approx(x[stop], rel=1e-8, abs=1e-10 * np.abs(x[stop]).max())


def test_what_it_stops_at_is_near_the_solution() -> None:
    systems = waves(8)
    exact = Direct().solve(systems, rtol=1e-12)[0].x
    for i in range(len(systems)):
        attempt, _ = FlexibleGMRES().attempt(systems, i, rtol=1.0, carry=None)
        assert attempt.x is not None
        assert np.linalg.norm(attempt.x - exact[i].ravel()) <= 0.05 * np.linalg.norm(exact[i])


def test_a_smaller_change_and_a_smaller_residual_take_more_steps() -> None:
    systems = waves(1)

    def steps(rtol: float, **fields: float) -> int:
        return FlexibleGMRES.model_validate(fields).attempt(systems, 0, rtol=rtol, carry=None)[0].iterations

    assert steps(1.0) < steps(1.0, change=0.01) < steps(1.0, change=1e-4)
    assert steps(1.0) <= steps(1e-3) < steps(1e-8)
    solutions, _ = FlexibleGMRES().solve(systems, rtol=1e-8)
    assert solutions.ledger["solver"] == ["fgmres"]
    assert solutions.ledger["residual"][0] <= 1e-8


def test_constant_coefficients_take_one_step() -> None:
    systems = waves(2, variation=0.0)
    for i in range(2):
        attempt, _ = FlexibleGMRES().attempt(systems, i, rtol=1.0, carry=None)
        assert attempt.iterations == 1
        assert attempt.x is not None
        assert systems.operators.matvec(i, attempt.x) == pytest.approx(systems.rhs[i].ravel(), abs=1e-9)


def test_a_complex_right_hand_side_is_two_real_ones() -> None:
    systems = waves(1)
    rhs = systems.rhs * (1 + 2j)
    attempt, _ = FlexibleGMRES().attempt(Systems(systems.operators, rhs), 0, rtol=1.0, carry=None)
    plain, _ = FlexibleGMRES().attempt(systems, 0, rtol=1.0, carry=None)
    assert plain.x is not None
    assert attempt.x == pytest.approx((1 + 2j) * plain.x, rel=1e-9)


def test_a_right_hand_side_of_zero_has_an_answer_of_zero() -> None:
    systems = waves(1)
    attempt, _ = FlexibleGMRES().attempt(Systems(systems.operators, 0 * systems.rhs), 0, rtol=1.0, carry=None)
    assert attempt.x is not None
    assert not attempt.x.any()
    assert (attempt.iterations, attempt.residual) == (0, 0.0)


def test_without_a_good_answer_there_is_none() -> None:
    systems = waves(1)
    attempt, _ = FlexibleGMRES(maxiter=2).attempt(systems, 0, rtol=1.0, carry=None)
    assert (attempt.x, attempt.iterations, attempt.reason) == (None, 2, "not_converged")
    plain = diffusion(np.ones((1, 8, 8)))
    resonant = Separable.of(plain.coefficients[0]).eigenvalues.ravel()[5]
    wave = with_reaction(plain, -resonant, definite=False)
    attempt, _ = FlexibleGMRES().attempt(Systems(wave, np.ones((1, 8, 8))), 0, rtol=1.0, carry=None)
    assert (attempt.x, attempt.reason) == (None, "breakdown")


@pytest.mark.parametrize("shape", [(9,), (7, 8), (4, 5, 6), (1, 6)], ids=str)
def test_even_couplings_are_told_from_others_whatever_the_reaction(shape: tuple[int, ...]) -> None:
    rng = np.random.default_rng(0)
    walls = [("neumann", "dirichlet")] * len(shape)
    one = diffusion(np.full((3, *shape), 0.7), walls=walls)  # type: ignore[arg-type]  # two words of the literal
    for operators in (one, with_reaction(one, rng.random((3, *shape)), definite=False)):
        assert even(operators.coefficients)
    a = np.full((3, *shape), 0.7)
    a[2].flat[-1] += 1e-6
    assert not even(diffusion(a).coefficients)


def test_varying_couplings_are_refused() -> None:
    operators = diffusion(np.random.default_rng(0).uniform(1, 2, (1, 6, 6)))
    with pytest.raises(ValueError, match="solver is 'fgmres': fgmres needs constant couplings along each axis"):
        FlexibleGMRES().solve(Systems(operators, np.ones((1, 6, 6))), rtol=1e-3)
