from __future__ import annotations

import numpy as np
import pytest
import torch

from ritz.compute.problems.evolutions.kuramoto_sivashinsky import KuramotoSivashinsky
from ritz.compute.problems.evolutions.schemes.exponential import by_contour, by_series
from ritz.compute.problems.problem import Solve
from ritz.compute.problems.ranges import Range


def no_systems(systems: object) -> np.ndarray:
    raise AssertionError(f"explicit steps posed {systems}")


SOLVE: Solve = no_systems


def final(steps: int, points: int = 64) -> np.ndarray:
    """Return the states of two samples at t = 10, on 64 or more points."""
    problem = KuramotoSivashinsky(points=points, steps=steps, store_every=steps, end=10.0)
    return problem.simulate(problem.draw(0, np.arange(2)), SOLVE)["u"][:, 0]


def test_steps_are_of_fourth_order() -> None:
    exact = final(2560)
    errors = [np.abs(final(steps) - exact).max() for steps in (80, 160, 320)]
    orders = np.log2(np.array(errors[:-1]) / errors[1:])
    assert orders[-1] > 3.4
    assert errors[-1] < 1e-6


def test_the_error_in_space_falls_faster_than_a_power() -> None:
    def coarse(points: int) -> float:
        fine = KuramotoSivashinsky(points=192, steps=320, store_every=320, end=10.0)
        grid = fine.model_copy(update={"points": points})
        modes = {
            one.points: np.fft.rfft(one.simulate(one.draw(0, np.arange(2)), SOLVE)["u"][:, 0]) / one.points
            for one in (fine, grid)
        }
        # The centres of the first cells lie at different places.
        waves = np.arange(8)
        shifted = {n: found[:, :8] * np.exp(-1j * np.pi * waves / n) for n, found in modes.items()}
        return float(np.abs(shifted[points] - shifted[192]).max())

    assert coarse(64) < 1e-3 * coarse(24)


def test_long_waves_grow_and_short_ones_fall_as_the_linear_equation_says() -> None:
    problem = KuramotoSivashinsky(points=32, length=2 * np.pi * 4, steps=64, store_every=64, end=4.0)
    x = problem.template(1)["x"].values
    for m in (2, 6):
        wave = m / 4
        state = 1e-9 * np.cos(wave * x)[None]
        found = problem.march({"u": state}, {}, 64)["u"]
        growth = np.exp(4 * (wave**2 - wave**4))
        np.testing.assert_allclose(found, growth * state, atol=1e-6 * growth * 1e-9)


def test_the_mean_stays_zero() -> None:
    problem = KuramotoSivashinsky()
    inputs = problem.draw(0, np.arange(2))
    means = problem.simulate(inputs, SOLVE)["u"].mean(axis=-1)
    assert np.abs(means).max() < 1e-7
    np.testing.assert_allclose(means, np.broadcast_to(means[:, :1], means.shape), rtol=0, atol=1e-12)


def test_two_ways_to_the_coefficients_agree() -> None:
    linear = np.concatenate([[0.0, -1e-8, 0.2], -np.logspace(-6, 6, 40)])
    for one, other in zip(by_contour(linear, 0.5), by_series(linear, 0.5), strict=True):
        np.testing.assert_allclose(one, other, rtol=0, atol=1e-15)


def test_a_spin_up_is_steps_before_the_first_state() -> None:
    problem = KuramotoSivashinsky(points=32, steps=8, store_every=8, end=2.0)
    late = problem.model_copy(update={"spin_up": 8})
    np.testing.assert_allclose(
        late.draw(0, np.arange(3))["u0"],
        problem.simulate(problem.draw(0, np.arange(3)), SOLVE)["u"][:, 0],
        rtol=0,
        atol=1e-5,
    )


def test_derivatives_of_the_steps_come_from_torch() -> None:
    problem = KuramotoSivashinsky(points=32, steps=8, store_every=4, end=2.0, viscosity=Range(low=0.5, high=2))
    inputs = problem.draw(0, np.arange(1))
    state, viscosity = torch.from_numpy(inputs["u0"]).double()[:, None], torch.tensor([1.1], dtype=torch.float64)
    along = torch.from_numpy(np.random.default_rng(0).standard_normal(state.shape))

    def after(u: torch.Tensor, nu: torch.Tensor) -> torch.Tensor:
        return problem.again({"u": u}, {"viscosity": nu}, 4)["u"]

    directions = (along, torch.ones(1, dtype=torch.float64))
    value, tangent = torch.autograd.functional.jvp(after, (state, viscosity), directions)
    h = 1e-6
    ends = [after(state + sign * h * along, viscosity + sign * h) for sign in (1, -1)]
    np.testing.assert_allclose(tangent, (ends[0] - ends[1]) / (2 * h), atol=1e-7 * float(tangent.abs().max()))
    back = torch.from_numpy(np.random.default_rng(1).standard_normal(value.shape))
    _, (to_state, to_viscosity) = torch.autograd.functional.vjp(after, (state, viscosity), back)
    assert float((back * tangent).sum()) == pytest.approx(
        float((to_state * along).sum() + to_viscosity.sum()), rel=1e-10
    )
