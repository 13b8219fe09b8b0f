from __future__ import annotations

import numpy as np
import pytest

from ritz.compute.solvers.assembly import diffusion
from ritz.compute.solvers.factorization.direct import Direct
from ritz.compute.solvers.newton import halving, newton
from ritz.compute.solvers.operators import Stencil
from ritz.compute.solvers.systems import Systems

F = np.array([[[0.5, 2.0], [1.0, 3.0]], [[40.0, 1.0], [0.0, 5.0]], [[0.0, 0.0], [0.0, 0.0]]])


def left_over(x: np.ndarray) -> np.ndarray:
    """Of arctan x = arctan F, cell by cell: whole steps from far away run off."""
    return np.arctan(F) - np.arctan(x)


def linearised(x: np.ndarray) -> tuple[Stencil, np.ndarray]:
    # The matrix is that of the unit, and the weight its inverse derivative.
    unit = diffusion(np.ones(x.shape)).coefficients * 0
    unit[:, 0] = 1
    return Stencil(unit, symmetric=True, definite=True), 1 + x**2


def solve(systems: Systems) -> np.ndarray:
    return Direct().solve(systems, rtol=1e-12, carry=None)[0].x


def test_halved_steps_come_there_from_anywhere_and_whole_ones_do_not() -> None:
    bound = np.full(3, 1e-12)
    found, lost = newton(
        left_over, linearised, np.full_like(F, 3.0), solve, bound=bound, steps=60,
        move=halving(lambda i, x: np.arctan(F[i]) - np.arctan(x)),
    )  # fmt: skip
    assert not lost.any()
    assert found == pytest.approx(F, rel=1e-8, abs=1e-9)
    with np.errstate(all="ignore"):
        _, lost = newton(left_over, linearised, np.full_like(F, 3.0), solve, bound=bound, steps=3)
    assert lost.any()


def test_a_sample_that_is_done_does_not_move_and_one_without_a_step_is_lost() -> None:
    asked = []

    def recorded(systems: Systems) -> np.ndarray:
        asked.append(systems.rhs.copy())
        return np.where(np.arange(3)[:, None, None] == 1, np.nan, solve(systems))

    begun = F.copy()
    begun[1:] += 0.1
    move = halving(lambda i, x: np.arctan(F[i]) - np.arctan(x))
    found, lost = newton(left_over, linearised, begun, recorded, bound=np.full(3, 1e-12), steps=20, move=move)
    np.testing.assert_array_equal(found[0], F[0])
    assert lost.tolist() == [False, True, False]
    assert all((rhs[0] == 0).all() for rhs in asked)
    # Nothing is asked for the one that is lost, either.
    assert all((rhs[1] == 0).all() for rhs in asked[1:])
