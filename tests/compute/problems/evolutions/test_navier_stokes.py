from __future__ import annotations

from functools import partial

import numpy as np
import pytest
import torch
from pydantic import ValidationError

from ritz.compute.problems.evolutions.navier_stokes import NavierStokes
from ritz.compute.problems.evolutions.schemes.exponential import Coefficients, by_contour, stable_frequency, step
from ritz.compute.problems.problem import Solve
from ritz.compute.problems.ranges import Range
from ritz.compute.simulation.simulate import simulate
from ritz.compute.solvers.factorization.direct import Direct


def no_systems(systems: object) -> np.ndarray:
    raise AssertionError(f"explicit steps posed {systems}")


SOLVE: Solve = no_systems


def centres(problem: NavierStokes) -> tuple[np.ndarray, np.ndarray]:
    """Return 2πy and 2πx at the centres of the cells, ``(ny, 1)`` and ``(nx,)``."""
    template = problem.template(1)
    return 2 * np.pi * template["y"].values[:, None], 2 * np.pi * template["x"].values


def smooth(problem: NavierStokes) -> np.ndarray:
    """Return a first state of a few waves, in which no modes of a coarse grid are left out."""
    y, x = centres(problem)
    state: np.ndarray = np.cos(x + y) + 2 * np.sin(2 * x - y) + np.cos(3 * y + 0.3) + 0 * x
    return state[None]


def relative(found: np.ndarray, expected: np.ndarray) -> float:
    return float(np.linalg.norm(found - expected) / np.linalg.norm(expected))


def test_taylor_green_vortices_decay_as_they_should() -> None:
    problem = NavierStokes(shape=(32, 48), forcing=0, viscosity=1e-2, steps=32, store_every=8, end=4.0)
    y, x = centres(problem)
    first = np.cos(2 * x) * np.sin(y)
    found = problem.simulate({"w0": first[None]}, SOLVE)["w"][0]
    # Convection along the lines of equal vorticity changes nothing.
    decay = np.exp(-1e-2 * 5 * (2 * np.pi) ** 2 * problem.times)
    np.testing.assert_allclose(found, decay[:, None, None] * first, rtol=0, atol=1e-12)


def test_taylor_green_vortices_that_the_wind_of_others_carries_along_decay_to_a_millionth() -> None:
    # Two families of one wave number: the sum is steady but for its decay, and all terms of u·∇w have to cancel.
    problem = NavierStokes(shape=(32, 32), forcing=0, viscosity=1e-3, steps=64, store_every=16, end=4.0)
    y, x = centres(problem)
    first = np.cos(3 * x + 4 * y) - 2 * np.sin(5 * x + 0 * y) + np.cos(4 * x - 3 * y + 1)
    found = problem.simulate({"w0": first[None]}, SOLVE)["w"][0]
    decay = np.exp(-1e-3 * 25 * (2 * np.pi) ** 2 * problem.times)
    assert relative(found, decay[:, None, None] * first) < 1e-6


def test_forcing_alone_tends_to_the_wave_that_viscosity_balances() -> None:
    problem = NavierStokes(shape=(16, 24), viscosity=1e-2, forcing=0.1, steps=40, store_every=10, end=4.0)
    y, x = centres(problem)
    rate = 1e-2 * 2 * (2 * np.pi) ** 2
    wave = 0.1 * (np.sin(x + y) + np.cos(x + y))
    found = problem.simulate({"w0": np.zeros((1, 16, 24))}, SOLVE)["w"][0]
    expected = -np.expm1(-rate * problem.times)[:, None, None] / rate * wave
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-13)


def test_steps_are_of_fourth_order() -> None:
    def final(steps: int) -> np.ndarray:
        problem = NavierStokes(shape=(48, 48), viscosity=2e-3, steps=steps, store_every=steps, end=2.0)
        return problem.simulate({"w0": smooth(problem)}, SOLVE)["w"]

    exact = final(512)
    errors = [relative(final(steps), exact) for steps in (16, 32, 64)]
    assert np.log2(np.array(errors[:-1]) / errors[1:]) == pytest.approx(4, abs=0.3)
    assert errors[-1] < 1e-6


def test_the_error_in_space_falls_faster_than_a_power() -> None:
    def modes(cells: int) -> np.ndarray:
        problem = NavierStokes(shape=(cells, cells), viscosity=5e-3, steps=32, store_every=32, end=1.0)
        found = np.fft.fft2(problem.simulate({"w0": smooth(problem)}, SOLVE)["w"][0, 0]) / cells**2
        # The centres of the first cells lie at different places.
        shift = np.exp(-1j * np.pi * np.arange(4) / cells)
        return found[:4, :4] * shift[:, None] * shift

    exact = modes(72)
    errors = [np.abs(modes(cells) - exact).max() for cells in (16, 24, 36)]
    orders = np.log(np.array(errors[:-1]) / errors[1:]) / np.log(1.5)
    assert orders[0] > 8
    assert orders[1] > 1.5 * orders[0]
    assert errors[-1] < 1e-9


def budgets(problem: NavierStokes, w: np.ndarray) -> tuple[np.ndarray, ...]:
    """Return energy, enstrophy and palinstrophy of states, and the work of the forcing on energy and on enstrophy."""
    ky, kx = (2 * np.pi * np.fft.fftfreq(cells, 1 / cells) for cells in problem.shape)
    squares = ky[:, None] ** 2 + kx**2
    inverse = np.where(squares > 0, 1 / np.where(squares > 0, squares, 1), 0)
    y, x = centres(problem)
    force = np.fft.fft2(0.1 * (np.sin(x + y) + np.cos(x + y))) / w[0].size
    modes = np.fft.fft2(w) / w[0].size
    powers, works = np.abs(modes) ** 2, (modes.conj() * force).real
    sums = [0.5 * powers * inverse, 0.5 * powers, 0.5 * powers * squares, works * inverse, works]
    return tuple(one.sum(axis=(1, 2)) for one in sums)


def test_energy_and_enstrophy_change_by_viscosity_and_forcing_alone() -> None:
    # With E = ∫|u|²/2, Z = ∫w²/2 and P = ∫|∇w|²/2: dE/dt = −2νZ + ∫ψf, dZ/dt = −2νP + ∫wf.
    problem = NavierStokes(shape=(32, 32), viscosity=1e-3, steps=128, store_every=1, end=2.0)
    w = problem.simulate(problem.draw(0, np.arange(1)), SOLVE)["w"][0]
    energy, enstrophy, palinstrophy, on_energy, on_enstrophy = budgets(problem, w)
    for total, loss, work in ((energy, enstrophy, on_energy), (enstrophy, palinstrophy, on_enstrophy)):
        rate = work - 2e-3 * loss
        # Simpson's rule over pairs of steps.
        gained = problem.interval / 3 * (rate[:-2:2] + 4 * rate[1:-1:2] + rate[2::2])
        np.testing.assert_allclose(np.diff(total[::2]), gained, rtol=0, atol=1e-6 * np.abs(gained).max())


def test_convection_keeps_energy_and_enstrophy() -> None:
    problem = NavierStokes(shape=(32, 32), viscosity=1e-12, forcing=0, steps=400, store_every=400, end=4.0)
    inputs = {"w0": smooth(problem) / 4}
    first, last = (budgets(problem, one) for one in (inputs["w0"], problem.simulate(inputs, SOLVE)["w"][0]))
    assert relative(last[0], first[0]) < 1e-6
    assert relative(last[1], first[1]) < 1e-6
    # The waves did interact.
    assert abs(last[2][0] / first[2][0] - 1) > 0.1


def test_the_mean_stays_zero() -> None:
    problem = NavierStokes(shape=(16, 20), steps=16, store_every=4, end=2.0)
    w = problem.simulate(problem.draw(0, np.arange(2)), SOLVE)["w"]
    assert np.abs(w.mean(axis=(2, 3))).max() < 1e-7


def test_the_first_states_have_the_law_of_the_published_code() -> None:
    problem = NavierStokes()
    waves = 4 * np.pi**2 * np.add.outer(np.arange(-32, 33) ** 2, np.arange(-32, 33) ** 2)
    variance = 2 * 7**3 * np.sum((waves[waves > 0] + 49) ** -2.5)
    assert problem.amplitude == pytest.approx(np.sqrt(variance), abs=5e-4)
    w0 = problem.draw(0, np.arange(300))["w0"]
    assert w0.std() == pytest.approx(problem.amplitude, rel=0.05)
    assert np.abs(w0.mean(axis=(1, 2))).max() < 1e-6


def test_steps_that_are_too_long_end_as_failed_samples(caplog: pytest.LogCaptureFixture) -> None:
    # Unstable steps may take long to overflow, and both implementations agree on them.
    problem = NavierStokes(shape=(32, 32), viscosity=1e-4, steps=10, store_every=1, end=2.0)
    inputs = problem.draw(0, np.arange(3))
    inputs["w0"][1] *= 20
    fields, ledger = simulate(problem, inputs, Direct(), 1e-8)
    assert ledger["status"] == ["ok", "failed", "ok"]
    assert ledger["reason"][1] == "not_finite"
    assert np.isnan(fields["w"][1]).all()
    assert "1 of 3 samples are too fast for stable steps of 0.2: expected more steps, now 10" in caplog.text
    # Without the limit of the speed, the fast sample would have been stored as a good one.
    coarse = {"w": inputs["w0"][1:2].astype(float)}
    for _ in range(2):
        coarse = problem.again({"w": coarse["w"].reshape(1, 1, 32, 32)}, {}, 1)
    assert np.isfinite(coarse["w"]).all()
    short = problem.model_copy(update={"steps": 200, "store_every": 20})
    assert simulate(short, inputs, Direct(), 1e-8)[1]["status"] == ["ok"] * 3


@pytest.mark.parametrize(
    ("viscosity", "steps", "within"),
    [(1e-2, 10, True), (1e-3, 30, True), (1e-3, 10, False), (1e-4, 80, True), (1e-4, 40, False), (1e-5, 160, True)],
)
def test_steps_are_right_up_to_the_limit_of_the_speed(viscosity: float, steps: int, within: bool) -> None:
    coarse, fine = (
        NavierStokes(shape=(32, 32), viscosity=viscosity, steps=count, store_every=count, end=10.0)
        for count in (steps, 640)
    )
    inputs = coarse.draw(0, np.arange(1))
    found = coarse.simulate(inputs, SOLVE)["w"]
    assert np.isfinite(found).all() == within
    if within:
        assert relative(found, fine.simulate(inputs, SOLVE)["w"]) < 1e-3


def test_stable_frequencies_are_where_factors_of_growth_reach_one() -> None:
    linear = -np.array([0.0, 1e-3, 0.5, 3.0, 20.0, 1e3, 1e8])
    frequency = stable_frequency(linear)
    assert frequency[0] == pytest.approx(8**0.5, rel=2e-3)
    assert frequency[-1] == pytest.approx(1e8 / 2**0.5, rel=2e-3)
    coefficients = Coefficients(*(one[:, None] for one in by_contour(linear, 1.0)))
    for share, stable in ((np.linspace(0.01, 0.99, 50), True), (np.array([1.01]), False)):
        sigma = share * frequency[:, None]
        factors = np.abs(step(np.ones_like(sigma) + 0j, partial(np.multiply, 1j * sigma), coefficients))
        assert np.all((factors <= 1 + 1e-9) == stable)


def test_a_sample_has_the_same_bits_in_any_block() -> None:
    problem = NavierStokes(shape=(24, 20), steps=4, store_every=2, end=0.5, viscosity=Range(low=1e-3, high=1e-2))
    inputs = problem.draw(0, np.arange(40))
    whole = problem.simulate(inputs, SOLVE)["w"]
    for part in (slice(0, 1), slice(17, 20), slice(39, 40)):
        some = problem.simulate({name: values[part] for name, values in inputs.items()}, SOLVE)["w"]
        np.testing.assert_array_equal(some, whole[part])


def test_a_range_is_a_number_of_each_sample() -> None:
    ranged = NavierStokes(
        shape=(16, 16),
        steps=8,
        store_every=8,
        end=1.0,
        viscosity=Range(low=1e-3, high=1e-1, log=True),
        forcing=Range(low=0.0, high=0.5),
    )
    inputs = ranged.draw(0, np.arange(3))
    assert {name: values.shape for name, values in inputs.items()} == {
        "viscosity": (3,),
        "forcing": (3,),
        "w0": (3, 16, 16),
    }
    together = ranged.simulate(inputs, SOLVE)["w"]
    for i in range(3):
        alone = ranged.model_copy(update={name: float(inputs[name][i]) for name in ("viscosity", "forcing")})
        expected = alone.simulate({"w0": inputs["w0"][i : i + 1]}, SOLVE)["w"][0]
        np.testing.assert_allclose(together[i], expected, rtol=0, atol=1e-14)


def test_derivatives_of_the_steps_come_from_torch() -> None:
    problem = NavierStokes(
        shape=(12, 10), steps=8, store_every=4, end=1.0, viscosity=Range(low=1e-3, high=1), forcing=Range(low=0, high=1)
    )
    given = (
        torch.from_numpy(problem.draw(0, np.arange(1))["w0"]).double()[:, None],
        torch.tensor([0.01], dtype=torch.float64),
        torch.tensor([0.2], dtype=torch.float64),
    )
    random = np.random.default_rng(0)
    along = tuple(torch.from_numpy(random.standard_normal(one.shape)) for one in given)

    def after(w: torch.Tensor, viscosity: torch.Tensor, forcing: torch.Tensor) -> torch.Tensor:
        return problem.again({"w": w}, {"viscosity": viscosity, "forcing": forcing}, 4)["w"]

    value, tangent = torch.autograd.functional.jvp(after, given, along)
    h = 1e-6
    ends = [after(*(one + sign * h * v for one, v in zip(given, along, strict=True))) for sign in (1, -1)]
    np.testing.assert_allclose(tangent, (ends[0] - ends[1]) / (2 * h), atol=1e-6 * float(tangent.abs().max()))
    back = torch.from_numpy(random.standard_normal(value.shape))
    _, pulled = torch.autograd.functional.vjp(after, given, back)
    forward = sum(float((one * v).sum()) for one, v in zip(pulled, along, strict=True))
    assert float((back * tangent).sum()) == pytest.approx(forward, rel=1e-10)


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("shape", (2, 64), "greater than or equal to 4"),
        ("viscosity", 0.0, "greater than 0"),
        ("viscosity", {"low": 0.0, "high": 1.0}, "low is 0: Input should be greater than 0"),
        ("forcing", -1.0, "greater than or equal to 0"),
        ("store_every", 3, "steps is 320 and store_every is 3, expected steps to be a multiple of it"),
    ],
)
def test_a_bad_field_is_named(field: str, value: object, message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        NavierStokes.model_validate({field: value})
