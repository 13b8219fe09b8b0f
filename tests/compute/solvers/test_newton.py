from __future__ import annotations

import numpy as np
import pytest

from ritz.compute.solvers.assembly import diffusion
from ritz.compute.solvers.factorization.direct import Direct
from ritz.compute.solvers.newton import newton
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


def test_halved_steps_come_there_from_anywhere() -> None:
    bound = np.full(3, 1e-12)
    found, lost = newton(left_over, linearised, np.full_like(F, 3.0), solve, bound=bound, steps=60)
    assert not lost.any()
    assert found == pytest.approx(F, rel=1e-8, abs=1e-9)
    _, lost = newton(left_over, linearised, np.full_like(F, 3.0), solve, bound=bound, steps=3)
    assert lost.any()


def test_what_is_left_over_is_computed_once_per_whole_step() -> None:
    places, steps = [], []

    def counted(x: np.ndarray) -> np.ndarray:
        places.append(x)
        return left_over(x)

    def stepped(x: np.ndarray) -> tuple[Stencil, np.ndarray]:
        steps.append(x)
        return linearised(x)

    newton(counted, stepped, F * 1.01, solve, bound=np.full(3, 1e-12), steps=20)
    assert len(places) == len(steps) + 1


def test_a_sample_that_is_done_does_not_move_and_one_without_a_step_is_lost() -> None:
    asked = []

    def recorded(systems: Systems) -> np.ndarray:
        asked.append(systems.rhs.copy())
        return np.where(np.arange(3)[:, None, None] == 1, np.nan, solve(systems))

    begun = F.copy()
    begun[1:] += 0.1
    found, lost = newton(left_over, linearised, begun, recorded, bound=np.full(3, 1e-12), steps=20)
    np.testing.assert_array_equal(found[0], F[0])
    np.testing.assert_array_equal(found[1], begun[1])
    assert lost.tolist() == [False, True, False]
    assert all((rhs[0] == 0).all() for rhs in asked)
    # Nothing is asked for the one that is lost, either.
    assert all((rhs[1] == 0).all() for rhs in asked[1:])


def test_a_sample_does_not_depend_on_the_others_of_its_block() -> None:
    begun, bound = np.full_like(F, 3.0), np.full(3, 1e-12)
    whole, _ = newton(left_over, linearised, begun, solve, bound=bound, steps=60)
    far = np.stack([F[1], F[1], F[1]])

    def others(x: np.ndarray) -> np.ndarray:
        return np.arctan(far) - np.arctan(x)

    alike, _ = newton(others, linearised, begun, solve, bound=bound, steps=60)
    np.testing.assert_array_equal(alike[0], whole[1])


def test_whole_steps_come_first_and_what_they_lose_begins_again_with_halved_ones() -> None:
    # Near a solution whole steps get there; from 3 they run off, all but where F is 3 too.
    bound, begun = np.full(3, 1e-12), np.stack([F[0] + 0.1, np.full((2, 2), 3.0), F[2]])
    with np.errstate(all="ignore"):
        found, lost = newton(left_over, linearised, begun, solve, bound=bound, steps=60, whole=True)
    assert not lost.any()
    assert found == pytest.approx(F, rel=1e-8, abs=1e-9)
    halved, _ = newton(left_over, linearised, begun, solve, bound=bound, steps=60)
    np.testing.assert_array_equal(found[1], halved[1])
    np.testing.assert_array_equal(found[2], F[2])
