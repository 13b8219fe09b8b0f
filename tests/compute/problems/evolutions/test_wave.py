from __future__ import annotations

import math
from typing import Any, Literal

import numpy as np
import pytest
import torch
from pydantic import ValidationError

from ritz.compute.problems.box.grid import centres
from ritz.compute.problems.evolutions.wave import Wave
from ritz.compute.problems.gaussian import Gaussian
from ritz.compute.problems.laws import Lognormal, TwoPhase
from ritz.compute.problems.problem import Arrays, Solve
from ritz.compute.problems.ranges import Range
from ritz.compute.simulation.simulate import simulate
from ritz.compute.solvers.factorization.direct import Direct

Walls = Literal["reflecting", "absorbing"]


def no_systems(systems: object) -> np.ndarray:
    raise AssertionError(f"explicit steps posed {systems}")


SOLVE: Solve = no_systems


def uniform(cells: int, end: float, steps: int, walls: Walls = "reflecting", speed: float = 1.0) -> Wave:
    return Wave(shape=(cells, cells), speed=speed, medium=None, walls=walls, steps=steps, store_every=steps, end=end)


def after(problem: Wave, p0: np.ndarray) -> Arrays:
    """Return the states ``(ny, nx)`` at the end."""
    found = problem.march({"p": p0[None], "rate": np.zeros((1, *problem.shape))}, {}, problem.steps)
    return {name: values[0] for name, values in found.items()}


def orders(errors: list[float]) -> np.ndarray:
    """Return the orders of errors that belong to halved widths."""
    found: np.ndarray = np.log2(np.array(errors[:-1]) / errors[1:])
    return found


def standing(cells: int) -> np.ndarray:
    """Return a wave between rigid walls, with one node along y and two along x."""
    found: np.ndarray = np.cos(np.pi * centres(cells))[:, None] * np.cos(2 * np.pi * centres(cells))
    return found


def test_a_standing_wave_swings_as_the_equation_says_to_second_order_in_space() -> None:
    omega, end, speed = np.pi * np.sqrt(5), 0.55, 1.3
    errors: dict[str, list[float]] = {"p": [], "rate": []}
    for cells in (32, 64, 128):
        found = after(uniform(cells, end, 1000, speed=speed), standing(cells))
        exact = {"p": math.cos(omega * speed * end), "rate": -omega * speed * math.sin(omega * speed * end)}
        for name, factor in exact.items():
            errors[name].append(float(np.abs(found[name] - factor * standing(cells)).max()))
    assert all(np.all(np.abs(orders(one) - 2) < 0.1) for one in errors.values())
    assert errors["p"][-1] < 5e-4


def test_steps_are_of_second_order() -> None:
    cells, end = 16, 0.7
    # The frequency of the wave on this grid.
    omega = 2 * cells * math.sqrt(sum(math.sin(math.pi * k / (2 * cells)) ** 2 for k in (1, 2)))
    errors = [
        float(
            np.abs(
                after(uniform(cells, end, steps), standing(cells))["p"] - math.cos(omega * end) * standing(cells)
            ).max()
        )
        for steps in (20, 40, 80, 160)
    ]
    assert np.all(np.abs(orders(errors) - 2) < 0.05)


def bump(x: np.ndarray, centre: float, width: float = 0.05) -> np.ndarray:
    found: np.ndarray = np.exp(-((x - centre) ** 2) / (2 * width**2))
    return found


def test_two_halves_of_a_pulse_part_and_come_back_from_rigid_walls() -> None:
    """By d'Alembert's formula, with the images of the pulse behind the walls."""
    end = 1.3
    errors = []
    for cells in (64, 128, 256):
        x = centres(cells)
        p0 = np.broadcast_to(bump(x, 0.4), (cells, cells))
        images = [2 * k + sign * 0.4 + side * end for k in (-1, 0, 1, 2) for sign in (-1, 1) for side in (-1, 1)]
        exact = 0.5 * sum(bump(x, centre) for centre in images)
        found = after(uniform(cells, end, 4 * cells), p0)["p"]
        errors.append(float(np.abs(found - exact).max()))
    assert np.all(orders(errors) > 1.8)
    assert errors[-1] < 0.01


def test_an_absorbing_wall_takes_in_what_comes_at_right_angles() -> None:
    """On the line halfway between the other walls, which sound from these has not reached yet."""
    end = 0.45
    echoes = []
    for cells in (64, 128, 256):
        x = centres(cells)
        p0 = np.broadcast_to(bump(x, 0.8, 0.04), (cells, cells))
        found = after(uniform(cells, end, 2 * cells, "absorbing"), p0)["p"][cells // 2]
        assert found[x < 0.5].max() > 0.4
        # All that would be there is the echo: both halves of the pulse have gone.
        echoes.append(float(np.abs(found[x > 0.6]).max()))
    assert np.all(orders(echoes) > 1.8)
    assert echoes[-1] < 1e-3
    rigid = after(uniform(64, end, 128), np.broadcast_to(bump(centres(64), 0.8, 0.04), (64, 64)))["p"][32]
    assert rigid[centres(64) > 0.6].max() > 0.4


def echo(cells: int, walls: Walls) -> tuple[float, float]:
    """Return the largest echo of a round pulse in the middle: the difference from one in a box three times as wide.

    Relative to the pulse, and at the end.
    """

    def pressures(cells: int, width: float, walls: Walls) -> np.ndarray:
        problem = Wave(
            shape=(cells, cells),
            speed=1 / width,
            medium=None,
            walls=walls,
            steps=int(4 * cells / width),
            store_every=int(cells / width) // 8,
            end=1.6,
        )
        along = bump(width * (centres(cells) - 0.5), 0.0)
        p0 = (along[:, None] * along)[None].astype(np.float32)
        return problem.simulate({"p0": p0, "rate0": 0 * p0}, SOLVE)["p"][0]

    inside = slice(cells, 2 * cells)
    difference = pressures(cells, 1.0, walls) - pressures(3 * cells, 3.0, "reflecting")[:, inside, inside]
    largest = np.abs(difference).max(axis=(1, 2))
    return float(largest.max()), float(largest[-1])


def test_the_echo_of_a_round_pulse_is_small() -> None:
    absorbing, reflecting = echo(48, "absorbing"), echo(48, "reflecting")
    assert absorbing[0] < 0.03
    assert reflecting[0] > 0.25
    assert absorbing[1] < 0.02 * reflecting[1]


def test_absorbing_walls_are_of_second_order() -> None:
    """Against a run on a grid four times as fine as the finest."""

    def final(cells: int) -> np.ndarray:
        along = bump(centres(cells), 0.45, 0.1)
        return after(uniform(cells, 0.9, 4 * cells, "absorbing"), along[:, None] * along)["p"]

    def averaged(field: np.ndarray, cells: int) -> np.ndarray:
        times = len(field) // cells
        found: np.ndarray = field.reshape(cells, times, cells, times).mean(axis=(1, 3))
        return found

    fine = final(256)
    errors = []
    for cells in (16, 32, 64):
        difference = averaged(final(cells), 16) - averaged(fine, 16)
        errors.append(float(np.sqrt(np.square(difference).mean())))
    assert np.all(orders(errors) > 1.8)


def energies(problem: Wave, inputs: Arrays) -> np.ndarray:
    """Return the energies of the first and of all stored states, ``(n, 1 + times)``."""
    found = problem.simulate(inputs, SOLVE)
    first = {name: values[:, None] for name, values in problem.start(inputs).fields.items()}
    p, rate = (np.concatenate([first[name], found[name]], axis=1) for name in ("p", "rate"))
    return problem.energy(inputs, p, rate)


def test_the_energy_between_reflecting_walls_stays_and_absorbing_ones_take_it() -> None:
    rigid = Wave(shape=(24, 32), steps=400, store_every=5, end=2.5, speed=Range(low=0.5, high=1))
    inputs = rigid.draw(0, np.arange(3))
    kept = energies(rigid, inputs)
    np.testing.assert_allclose(kept, np.broadcast_to(kept[:, :1], kept.shape), rtol=1e-13)
    lost = energies(rigid.model_copy(update={"walls": "absorbing"}), inputs)
    # The cells along absorbing walls are lighter, or the two would begin alike.
    np.testing.assert_allclose(lost[:, 0], kept[:, 0], rtol=0.15)
    assert np.all(np.diff(lost, axis=1) <= 0)
    assert np.all(lost[:, -1] < 0.1 * lost[:, 0])
    assert np.all(lost > 0)


def test_the_energy_without_its_last_term_is_off_by_the_square_of_the_step() -> None:
    def drift(steps: int) -> float:
        problem = Wave(shape=(16, 16), steps=steps, store_every=steps // 16, end=1.0)
        inputs = problem.draw(0, np.arange(1))
        found = problem.simulate(inputs, SOLVE)
        # What a step of no length leaves of the last term: none.
        still = problem.model_copy(update={"end": 1e-9})
        plain = still.energy(inputs, found["p"], found["rate"])[0]
        return float(np.ptp(plain) / plain.mean())

    assert np.all(np.abs(orders([drift(steps) for steps in (64, 128, 256)]) - 2) < 0.1)


def test_steps_back_lead_to_the_first_state() -> None:
    problem = Wave(shape=(16, 20), steps=200, store_every=200, end=0.8)
    inputs = problem.draw(0, np.arange(2))
    first = problem.start(inputs).fields
    there = problem.march(dict(first), inputs, 200)
    back = problem.march({"p": there["p"], "rate": -there["rate"]}, inputs, 200)
    np.testing.assert_allclose(back["p"], first["p"], atol=1e-11)
    np.testing.assert_allclose(back["rate"], -first["rate"], atol=1e-9)


@pytest.mark.parametrize("walls", ["reflecting", "absorbing"])
def test_steps_at_the_limit_are_stable(walls: Walls) -> None:
    plain = uniform(12, 1.0, 100, walls)
    problem = plain.model_copy(update={"speed": plain.limit * (1 - 1e-6)})
    rough = np.random.default_rng(0).standard_normal(problem.shape)
    assert np.abs(problem.march({"p": rough[None], "rate": 0 * rough[None]}, {}, 20_000)["p"]).max() < 100


def test_a_sample_with_sound_too_fast_for_the_steps_fails_alone() -> None:
    problem = Wave(shape=(16, 16), medium=Lognormal(sigma=0.5, alpha=4), steps=48, store_every=8)
    inputs = problem.draw(0, np.arange(8))
    fast = inputs["m"].max(axis=(1, 2)) > problem.limit
    assert 0 < fast.sum() < 8
    fields, ledger = simulate(problem, inputs, Direct(), 1e-8)
    assert ledger["status"] == ["failed" if one else "ok" for one in fast]
    np.testing.assert_array_equal(np.isnan(fields["p"]).any(axis=(1, 2, 3)), fast)


def test_the_first_state_meets_the_condition_at_the_walls() -> None:
    for walls in ("reflecting", "absorbing"):
        problem = Wave(shape=(256, 256), walls=walls, initial=Gaussian(tau=5, alpha=6), steps=1000)
        rate = problem.draw(0, np.arange(2))["rate0"]
        outermost, slope = np.abs(rate[:, 0]).max(), np.abs(rate[:, 1] - rate[:, 0]).max()
        assert min(outermost, slope) < 0.05 * problem.rate_amplitude
        assert (outermost < 0.1 * problem.rate_amplitude) == (walls == "absorbing")


def test_the_first_rate_has_the_amplitude_that_is_asked_for() -> None:
    drawn = Wave(shape=(8, 8), walls="absorbing", rate_amplitude=3.0).draw(0, np.arange(400))
    assert drawn["rate0"].std() == pytest.approx(3.0, rel=0.05)
    assert drawn["p0"].std() == pytest.approx(1.0, rel=0.05)


def test_every_sample_has_its_own_speed_and_medium() -> None:
    ranged = Wave(shape=(12, 16), steps=40, store_every=20, end=0.5, speed=Range(low=0.5, high=1.5, log=True))
    inputs = ranged.draw(0, np.arange(3))
    assert {name: values.shape for name, values in inputs.items()} == {
        "speed": (3,),
        "p0": (3, 12, 16),
        "rate0": (3, 12, 16),
        "m": (3, 12, 16),
    }
    found = ranged.simulate(inputs, SOLVE)
    for i in range(3):
        plain = ranged.model_copy(update={"speed": float(inputs["speed"][i])})
        alone = plain.simulate({name: inputs[name][i : i + 1] for name in ("p0", "rate0", "m")}, SOLVE)
        for name, values in found.items():
            np.testing.assert_allclose(alone[name][0], values[i], atol=1e-12)


def test_derivatives_of_the_steps_come_from_torch() -> None:
    problem = Wave(shape=(4, 5), walls="absorbing", steps=6, store_every=3, end=0.3, speed=Range(low=0.5, high=1.5))
    inputs = {name: torch.from_numpy(values).double() for name, values in problem.draw(0, np.arange(1)).items()}
    state = (inputs["p0"][:, None], inputs["rate0"][:, None], inputs["m"], inputs["speed"])

    def then(p: torch.Tensor, rate: torch.Tensor, m: torch.Tensor, speed: torch.Tensor) -> tuple[torch.Tensor, ...]:
        found = problem.again({"p": p, "rate": rate}, {"m": m, "speed": speed}, 3)
        return found["p"], found["rate"]

    assert torch.autograd.gradcheck(then, tuple(one.clone().requires_grad_() for one in state))


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (
            {"medium": None, "speed": 4.0},
            r"steps is 320, stable up to a speed of 3.53553 with shape \[64, 64\] and end 1, and sound is as fast as "
            "4, expected at least 363 steps",
        ),
        ({"medium": None, "speed": {"low": 1, "high": 4}}, "sound is as fast as 4, expected at least 363 steps"),
        ({"medium": {"kind": "two_phase", "low": 1, "high": 4}}, "sound is as fast as 4, expected at least 363 steps"),
        ({"medium": None, "speed": 3, "walls": "absorbing"}, "stable up to a speed of 2.88675 with"),
        ({"medium": {"kind": "lognormal", "alpha": 1.0}}, "alpha"),
        ({"walls": "soft"}, "'reflecting' or 'absorbing'"),
        ({"speed": 0}, "greater than 0"),
        ({"steps": 330}, "steps is 330 and store_every is 20, expected steps to be a multiple of it"),
    ],
)
def test_what_makes_no_problem_is_refused(given: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        Wave.model_validate(given)


def test_as_many_steps_as_a_refusal_says_are_enough() -> None:
    assert Wave(medium=TwoPhase(low=1, high=4), steps=363, store_every=3).limit >= 4
