from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from pydantic import ValidationError

from ritz.compute.problems.box import grid
from ritz.compute.problems.evolutions.advection_diffusion import AdvectionDiffusion
from ritz.compute.problems.problem import Solve
from ritz.compute.problems.ranges import Range


def no_systems(systems: object) -> np.ndarray:
    raise AssertionError(f"explicit steps posed {systems}")


SOLVE: Solve = no_systems


def centres(problem: AdvectionDiffusion) -> list[np.ndarray]:
    """Return the coordinates y and x, or x, of the cells, broadcast together."""
    along = [grid.centres(cells, problem.length) for cells in problem.shape]
    return list(np.meshgrid(*along, indexing="ij"))


@pytest.mark.parametrize("shape", [(16, 20), (15, 18)])
def test_a_plane_wave_moves_and_decays_as_the_equation_says(shape: tuple[int, int]) -> None:
    problem = AdvectionDiffusion(
        shape=shape, length=2.0, velocity_x=0.7, velocity_y=-1.3, viscosity=0.02, steps=6, store_every=2, end=0.9
    )
    y, x = centres(problem)
    k, m = 2 * np.pi * 3 / 2, -2 * np.pi * 2 / 2
    u0 = np.cos(k * x + m * y)[None].astype(np.float32)
    found = problem.simulate({"u0": u0}, SOLVE)["u"][0]
    for time, state in zip(problem.times, found, strict=True):
        exact = np.exp(-0.02 * (k**2 + m**2) * time) * np.cos(k * (x - 0.7 * time) + m * (y + 1.3 * time))
        np.testing.assert_allclose(state, exact, atol=1e-6)


def test_without_diffusion_a_state_comes_back_after_a_round() -> None:
    problem = AdvectionDiffusion(shape=(24, 32), velocity_x=2.0, velocity_y=1.0, viscosity=0.0, steps=8, end=1.0)
    inputs = problem.draw(0, np.arange(3))
    found = problem.simulate(inputs, SOLVE)["u"]
    np.testing.assert_allclose(found[:, -1], inputs["u0"], atol=1e-6)
    # A whole number of cells is a shift of the array, here by 8 along x and 3 along y; an eighth of the way.
    np.testing.assert_allclose(found[:, 0], np.roll(inputs["u0"], (3, 8), axis=(1, 2)), atol=1e-6)


def test_steps_of_any_length_come_to_the_same_state() -> None:
    def final(steps: int) -> np.ndarray:
        problem = AdvectionDiffusion(shape=(16, 16), velocity_y=0.3, steps=steps, store_every=steps)
        return problem.simulate(problem.draw(0, np.arange(2)), SOLVE)["u"][:, 0]

    np.testing.assert_allclose(final(1), final(60), atol=1e-13)


def test_the_error_in_space_falls_faster_than_a_power() -> None:
    """On a line, from a peak whose waves fall like a Gaussian: a heat kernel, whose later shape is known."""
    width, velocity, viscosity, end = 0.05, 0.8, 0.002, 0.5

    def error(points: int) -> float:
        problem = AdvectionDiffusion(
            shape=(points,), velocity_x=velocity, viscosity=viscosity, steps=1, store_every=1, end=end
        )
        (x,) = centres(problem)

        def peak(square: float, centre: float) -> np.ndarray:
            images = x[:, None] - centre + np.arange(-4, 5)
            return (np.exp(-(images**2) / (2 * square)) / np.sqrt(square)).sum(axis=1)

        found = problem.march({"u": peak(width**2, 0.3)[None]}, {}, 1)["u"][0]
        exact = peak(width**2 + 2 * viscosity * end, 0.3 + velocity * end)
        return float(np.abs(found - exact).max() / exact.max())

    errors = np.array([error(points) for points in (12, 16, 24, 32)])
    orders = -np.diff(np.log(errors)) / np.diff(np.log([12, 16, 24, 32]))
    assert np.all(np.diff(orders) > 0)
    assert orders[-1] > 10
    assert error(64) < 1e-13


def test_the_mean_stays_and_the_norm_falls() -> None:
    problem = AdvectionDiffusion(shape=(16, 20), velocity_y=0.5, viscosity=Range(low=0.001, high=0.1, log=True))
    inputs = problem.draw(0, np.arange(4))
    found = np.concatenate([inputs["u0"][:, None], problem.simulate(inputs, SOLVE)["u"]], axis=1)
    means = found.mean(axis=(2, 3))
    np.testing.assert_allclose(means, np.broadcast_to(means[:, :1], means.shape), rtol=0, atol=1e-8)
    assert np.all(np.diff(np.square(found).sum(axis=(2, 3)), axis=1) < 0)


def test_every_sample_has_its_own_velocity() -> None:
    ranged = AdvectionDiffusion(
        shape=(16, 16), velocity_x=Range(low=-1, high=1), velocity_y=Range(low=0.5, high=2), steps=4, end=0.5
    )
    inputs = ranged.draw(0, np.arange(3))
    assert {name: values.shape for name, values in inputs.items()} == {
        "velocity_x": (3,),
        "velocity_y": (3,),
        "u0": (3, 16, 16),
    }
    found = ranged.simulate(inputs, SOLVE)["u"]
    for i in range(3):
        velocities = {name: float(inputs[name][i]) for name in ("velocity_x", "velocity_y")}
        plain = AdvectionDiffusion(shape=(16, 16), steps=4, end=0.5, **velocities)
        np.testing.assert_allclose(plain.simulate({"u0": inputs["u0"][i : i + 1]}, SOLVE)["u"][0], found[i], atol=1e-14)


def test_derivatives_of_the_steps_come_from_torch() -> None:
    problem = AdvectionDiffusion(
        shape=(8, 8), steps=2, end=0.2, velocity_x=Range(low=0.5, high=2), viscosity=Range(low=0.01, high=0.1)
    )
    inputs = {name: torch.from_numpy(values).double() for name, values in problem.draw(0, np.arange(1)).items()}
    state = (inputs["u0"][:, None], inputs["velocity_x"], inputs["viscosity"])

    def after(u: torch.Tensor, velocity: torch.Tensor, viscosity: torch.Tensor) -> torch.Tensor:
        return problem.again({"u": u}, {"velocity_x": velocity, "viscosity": viscosity}, 2)["u"]

    assert torch.autograd.gradcheck(after, tuple(one.clone().requires_grad_() for one in state))


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"shape": [32], "velocity_y": 0.5}, r"shape is \[32\], a line, and velocity_y is 0.5, expected 0"),
        ({"viscosity": 0, "velocity_x": 0}, "viscosity is 0, velocity_x is 0.0 and velocity_y is 0.0, so that all"),
        ({"viscosity": 0, "velocity_x": 2, "end": 4.0, "steps": 8}, "that changes between the times 0.5 apart"),
        ({"viscosity": -1}, "greater than or equal to 0"),
        ({"velocity_x": {"low": 0, "high": 2000}}, "high is 2000: Input should be less than or equal to 1000"),
        ({"shape": [8, 8, 8]}, "shape"),
        ({"steps": 5, "store_every": 2}, "steps is 5 and store_every is 2, expected steps to be a multiple of it"),
    ],
)
def test_what_makes_no_problem_is_refused(given: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        AdvectionDiffusion.model_validate(given)
