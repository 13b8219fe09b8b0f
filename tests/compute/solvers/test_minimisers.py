from __future__ import annotations

from dataclasses import dataclass
from typing import get_args

import numpy as np
import pytest
from pydantic import ValidationError

from ritz.compute.kind import OneOf
from ritz.compute.solvers.assembly import diffusion
from ritz.compute.solvers.factorization.direct import Direct
from ritz.compute.solvers.minimisers.catalogue import AnyMinimiser
from ritz.compute.solvers.minimisers.damped_newton import DampedNewton
from ritz.compute.solvers.minimisers.energy import Energy
from ritz.compute.solvers.minimisers.minimiser import Minimiser
from ritz.compute.solvers.minimisers.sobolev_descent import SobolevDescent
from ritz.compute.solvers.operators import Stencil
from ritz.compute.solvers.systems import Systems

ALL = (DampedNewton(), SobolevDescent())

minimisers = pytest.mark.parametrize("minimiser", ALL, ids=lambda one: one.kind)


@dataclass
class Springs(Energy):
    """½ ⟨x, L x⟩ + Σ √(1 + x²) − ⟨f, x⟩ with L = −Δ on a line: convex, and whole Newton steps from afar overshoot."""

    f: np.ndarray
    scale: float = 1.0

    def __post_init__(self) -> None:
        self.laplacian = diffusion(np.full(self.f.shape, 0.01))

    def value(self, x: np.ndarray) -> np.ndarray:
        return self.scale * np.sum(x * (0.5 * self._pulled(x) - self.f) + 10 * np.sqrt(1 + x**2), axis=1)

    def gradient(self, x: np.ndarray) -> np.ndarray:
        return self.scale * (self._pulled(x) + 10 * x / np.sqrt(1 + x**2) - self.f)

    def hessian(self, x: np.ndarray) -> Stencil:
        c = np.array(self.laplacian.coefficients)
        c[:, 0] += 10 * (1 + x**2) ** -1.5
        return Stencil(self.scale * c, symmetric=True, definite=True)

    def metric(self) -> Stencil:
        c = np.array(self.laplacian.coefficients)
        c[:, 0] += 10
        return Stencil(c, symmetric=True, definite=True)

    def _pulled(self, x: np.ndarray) -> np.ndarray:
        return np.stack([self.laplacian.matvec(i, row) for i, row in enumerate(x)])


F = np.array([[0.5, 2.0, 1.0, 3.0], [12.0, 1.0, 0.0, 5.0], [0.0, 0.0, 0.0, 0.0], [-9.0, 9.0, -9.0, 9.0]])


def solve(systems: Systems) -> np.ndarray:
    return Direct(library="superlu").solve(systems, rtol=1e-12)[0].x


def test_every_kind_is_here() -> None:
    union = next(item for item in get_args(AnyMinimiser) if isinstance(item, OneOf))
    assert set(union.kinds()) == {one.kind for one in ALL}


def test_the_derivatives_of_the_test_are_right() -> None:
    energy, x, v = Springs(F), *np.random.default_rng(0).standard_normal((2, *F.shape))
    slope = (energy.value(x + 1e-6 * v) - energy.value(x - 1e-6 * v)) / 2e-6
    assert slope == pytest.approx(np.sum(energy.gradient(x) * v, axis=1), rel=1e-7)
    change = (energy.gradient(x + 1e-6 * v) - energy.gradient(x - 1e-6 * v)) / 2e-6
    assert [energy.hessian(x).matvec(i, v[i]) for i in range(4)] == pytest.approx(change, rel=1e-6)


@minimisers
@pytest.mark.parametrize("scale", [1e-8, 1.0, 1e8])
def test_the_minimum_is_found_from_anywhere_in_any_unit(minimiser: Minimiser, scale: float) -> None:
    energy = Springs(F, scale)
    for begun in (np.zeros_like(F), np.full_like(F, 4.0)):
        x, lost = minimiser.minimise(energy, begun, solve, bound=np.full(4, 1e-6 * scale))
        assert not lost.any()
        assert np.linalg.norm(energy.gradient(x), axis=1).max() <= 1e-6 * scale
        around = x + 0.01 * np.random.default_rng(1).standard_normal(x.shape)
        assert np.all(energy.value(around) > energy.value(x))


@minimisers
def test_a_sample_that_is_done_does_not_move_and_one_without_an_answer_is_lost(minimiser: Minimiser) -> None:
    asked = []

    def spoilt(systems: Systems) -> np.ndarray:
        asked.append(systems.rhs.copy())
        return np.where(np.arange(4)[:, None] == 1, np.nan, solve(systems))

    x, lost = minimiser.minimise(Springs(F), np.zeros_like(F), spoilt, bound=np.full(4, 1e-10))
    assert lost.tolist() == [False, True, False, False]
    np.testing.assert_array_equal(x[2], 0)
    assert not any(rhs[2].any() for rhs in asked)
    assert not any(rhs[1].any() for rhs in asked[1:])


@minimisers
def test_a_sample_does_not_depend_on_the_others_of_its_block(minimiser: Minimiser) -> None:
    begun = np.full_like(F, 5.0)
    whole, _ = minimiser.minimise(Springs(F), begun, solve, bound=np.full(4, 1e-10))
    for i in range(4):
        alone, _ = minimiser.minimise(Springs(F[i : i + 1]), begun[i : i + 1], solve, bound=np.full(1, 1e-10))
        np.testing.assert_array_equal(alone[0], whole[i])


@minimisers
def test_a_direction_uphill_is_not_taken(minimiser: Minimiser) -> None:
    x, lost = minimiser.minimise(Springs(F), np.zeros_like(F), lambda s: -solve(s), bound=np.full(4, 1e-10))
    assert lost.tolist() == [True, True, False, True]
    np.testing.assert_array_equal(x, 0)


@minimisers
def test_what_has_not_come_there_after_all_steps_is_lost(minimiser: Minimiser) -> None:
    few = minimiser.model_copy(update={"steps": 1})
    _, lost = few.minimise(Springs(F), np.zeros_like(F), solve, bound=np.full(4, 1e-10))
    assert lost.tolist() == [True, True, False, True]


def test_a_known_smoothness_sets_the_parts_and_nothing_is_tried() -> None:
    class Silent(Springs):
        def value(self, x: np.ndarray) -> np.ndarray:
            raise AssertionError(x)

    sigma, begun = 2.0, np.ones_like(F)
    energy = Silent(F)
    once = DampedNewton(smoothness=sigma, steps=1)
    x, _ = once.minimise(energy, begun, solve, bound=np.full(4, 1e-10))
    step = solve(Systems(energy.hessian(begun), -energy.gradient(begun)))
    decrement = np.sqrt(-np.sum(step * energy.gradient(begun), axis=1))
    assert x == pytest.approx(begun + step / (1 + sigma * decrement ** (2 / 3))[:, None], rel=1e-12)
    _, lost = DampedNewton(smoothness=sigma, steps=200).minimise(energy, begun, solve, bound=np.full(4, 1e-10))
    assert not lost.any()


def test_backtracking_lets_the_energy_fall_in_every_step_where_whole_steps_do_not() -> None:
    begun, seen = np.full((1, 4), 30.0), []

    class Watched(Springs):
        def hessian(self, x: np.ndarray) -> Stencil:
            seen.append(self.value(x)[0])
            return super().hessian(x)

    DampedNewton().minimise(Watched(F[:1]), begun, solve, bound=np.full(1, 1e-10))
    assert np.all(np.diff(seen) < 0)
    energy = Springs(F[:1])
    whole = begun + solve(Systems(energy.hessian(begun), -energy.gradient(begun)))
    assert energy.value(whole) > energy.value(begun)


def test_descent_poses_one_metric_for_all_steps() -> None:
    posed = []

    def recorded(systems: Systems) -> np.ndarray:
        posed.append(systems.operators)
        return solve(systems)

    SobolevDescent().minimise(Springs(F), np.zeros_like(F), recorded, bound=np.full(4, 1e-10))
    assert len(posed) > 2
    assert all(operators is posed[0] for operators in posed)


def test_descent_without_a_metric_is_refused() -> None:
    class Bare(Springs):
        metric = Energy.metric  # type: ignore[assignment]  # as if it had none

    with pytest.raises(NotImplementedError, match="Bare has no metric"):
        SobolevDescent().minimise(Bare(F), np.zeros_like(F), solve, bound=np.full(4, 1e-10))


@pytest.mark.parametrize(
    ("kind", "fields"),
    [(DampedNewton, {"smoothness": -1.0}), (DampedNewton, {"steps": 0}), (SobolevDescent, {"steps": 0})],
)
def test_a_bad_field_is_named(kind: type[Minimiser], fields: dict[str, float]) -> None:
    with pytest.raises(ValidationError, match=next(iter(fields))):
        kind(**fields)
