from __future__ import annotations

import numpy as np
import pytest
import torch
from pydantic import ValidationError

from ritz.compute.fields.dimensions import Dimensions
from ritz.compute.problems.evolutions.lorenz96 import Lorenz96
from ritz.compute.problems.problem import Arrays, Solve
from ritz.compute.problems.ranges import Range


def no_systems(systems: object) -> np.ndarray:
    raise AssertionError(f"explicit steps posed {systems}")


SOLVE: Solve = no_systems

TWO = Lorenz96(sites=6, fast=5, steps=100, store_every=20, end=0.5, spin_up=0)


def final(problem: Lorenz96, fields: Arrays, steps: int) -> Arrays:
    """Return states marched over the whole time of the problem in so many steps."""
    return problem.model_copy(update={"steps": steps}).march(fields, {}, steps)


def first(problem: Lorenz96, n: int = 2) -> Arrays:
    """Return first states of a few samples, in float64."""
    return problem.start(problem.draw(0, np.arange(n))).fields


@pytest.mark.parametrize("fast", [0, 6])
def test_steps_are_of_fourth_order(fast: int) -> None:
    problem = Lorenz96(sites=8, fast=fast, end=0.5, spin_up=0)
    begun = first(problem)
    exact = final(problem, begun, 6400)
    for name, wanted in exact.items():
        errors = [np.abs(final(problem, begun, steps)[name] - wanted).max() for steps in (100, 200, 400)]
        orders = np.log2(np.array(errors[:-1]) / errors[1:])
        np.testing.assert_allclose(orders, 4, atol=0.2)
        assert errors[-1] < (1e-5 if fast else 1e-7)


def test_the_same_state_at_all_sites_relaxes_to_the_forcing() -> None:
    problem = Lorenz96(forcing=3.0, end=1.0)
    errors = []
    for steps in (10, 20, 40):
        found = final(problem, {"u": np.full((1, 40), -1.0)}, steps)["u"]
        errors.append(np.abs(found - (3 - 4 * np.exp(-1.0))).max())
    np.testing.assert_allclose(np.log2(np.array(errors[:-1]) / errors[1:]), 4, atol=0.1)


def test_small_waves_about_the_forcing_grow_and_travel_as_the_linear_system_says() -> None:
    problem = Lorenz96(forcing=2.0, end=1.0)
    for waves in (3, 8):
        angle = 2 * np.pi * waves / 40
        wave = np.exp(1j * angle * np.arange(40))
        rate = 2 * (np.exp(1j * angle) - np.exp(-2j * angle)) - 1
        found = final(problem, {"u": 2 + 1e-7 * wave.real[None]}, 400)["u"] - 2
        np.testing.assert_allclose(found[0], 1e-7 * (np.exp(rate) * wave).real, rtol=0, atol=3e-13)


def test_one_fast_variable_of_a_site_has_the_ring_of_the_slow_ones_run_backwards() -> None:
    # Without coupling and with b = c = 1 the equations differ in direction and forcing alone.
    problem = Lorenz96(sites=12, fast=1, coupling=0, time_ratio=1, amplitude_ratio=1, forcing=0, end=1.0)
    begun = np.random.default_rng(0).standard_normal((2, 12))
    found = final(problem, {"u": begun, "v": begun[:, None, ::-1]}, 50)
    np.testing.assert_allclose(found["v"][:, 0, ::-1], found["u"], rtol=0, atol=1e-14)


@pytest.mark.parametrize("fast", [0, 3])
def test_products_and_coupling_conserve_the_energy(fast: int) -> None:
    # Without forcing, and the same damping everywhere (c = 1), Σ X² + Σ Y² falls by the damping alone.
    problem = Lorenz96(sites=9, fast=fast, forcing=0, coupling=1.5, time_ratio=1, amplitude_ratio=2, end=1.0)
    rng = np.random.default_rng(1)
    begun = {"u": 3 * rng.standard_normal((4, 9))} | ({"v": rng.standard_normal((4, fast, 9))} if fast else {})

    def energy(fields: Arrays) -> np.ndarray:
        return np.sum([np.square(values).reshape(4, -1).sum(axis=1) for values in fields.values()], axis=0)

    found = final(problem, begun, 1000)
    np.testing.assert_allclose(energy(found), np.exp(-2) * energy(begun), rtol=1e-9)
    # It is the whole, and no part of it, that falls so.
    if fast:
        slow = [np.square(fields["u"]).sum(axis=1) for fields in (begun, found)]
        assert np.all(np.abs(slow[1] / slow[0] - np.exp(-2)) > 1e-3)


def test_shifted_states_have_shifted_trajectories() -> None:
    for problem in (Lorenz96(), TWO):
        fields = first(problem)
        plain = problem.march(fields, {}, problem.steps)
        for places in (1, 3):
            shifted = {name: np.roll(values, places, -1) for name, values in fields.items()}
            for name, values in problem.march(shifted, {}, problem.steps).items():
                np.testing.assert_allclose(values, np.roll(plain[name], places, -1), rtol=0, atol=1e-9)


def test_the_fast_variables_of_all_sites_make_one_ring() -> None:
    # Without coupling they may be shifted by one, from the last of a site to the first of the next.
    problem = TWO.model_copy(update={"coupling": 0.0})
    fields = first(problem)

    def shifted(values: np.ndarray) -> np.ndarray:
        ring = np.roll(values.swapaxes(1, 2).reshape(2, 30), 1, -1)
        return ring.reshape(2, 6, 5).swapaxes(1, 2)

    found = problem.march({**fields, "v": shifted(fields["v"])}, {}, 40)["v"]
    np.testing.assert_allclose(found, shifted(problem.march(fields, {}, 40)["v"]), rtol=0, atol=1e-10)


def test_parameters_as_ranges_are_those_of_each_sample() -> None:
    ranged = TWO.model_copy(
        update={
            "forcing": Range(low=6, high=12),
            "coupling": Range(low=0.5, high=1.5),
            "time_ratio": Range(low=5, high=10),
            "amplitude_ratio": Range(low=5, high=10, log=True),
        }
    )
    inputs = ranged.draw(0, np.arange(3))
    whole = ranged.simulate(inputs, SOLVE)
    assert ranged.features(inputs).shape == (3, 4 + 6)
    for i in range(3):
        values = {name: float(inputs[name][i]) for name in ranged.ranges}
        alone = TWO.model_copy(update=values)
        one = {name: values[i : i + 1] for name, values in inputs.items() if name not in ranged.ranges}
        for name, found in alone.simulate(one, SOLVE).items():
            np.testing.assert_array_equal(found[0], whole[name][i])
        assert np.all(alone.residual(one, {name: values[i : i + 1] for name, values in whole.items()}) < 1e-11)


def test_a_spin_up_leads_onto_the_attractor() -> None:
    # Mean and variance of X at F = 8 are 2.3 and 3.6².
    u0 = Lorenz96(spin_up=1000).draw(0, np.arange(200))["u0"]
    assert u0.mean() == pytest.approx(2.34, abs=0.1)
    assert u0.std() == pytest.approx(3.64, abs=0.1)
    late = TWO.model_copy(update={"spin_up": 20})
    found, states = late.draw(0, np.arange(3)), TWO.simulate(TWO.draw(0, np.arange(3)), SOLVE)
    for name in ("u", "v"):
        np.testing.assert_allclose(found[f"{name}0"], states[name][:, 0], rtol=0, atol=1e-4)


def test_first_fast_variables_are_smaller_by_b() -> None:
    drawn = Lorenz96(sites=32, fast=16, spin_up=0, amplitude_ratio=6.0).draw(0, np.arange(400))
    assert drawn["u0"].std() == pytest.approx(3, rel=0.05)
    assert drawn["v0"].std() == pytest.approx(0.5, rel=0.05)


def test_fast_variables_are_channels_over_the_sites() -> None:
    dimensions = Dimensions.of(TWO.template(1))
    assert dimensions.space == ("x",)
    assert {name: dimensions.channels(name) for name in ("u0", "v0", "u", "v")} == {"u0": 1, "v0": 5, "u": 5, "v": 25}


def test_derivatives_of_the_steps_come_from_torch() -> None:
    problem = TWO.model_copy(update={"forcing": Range(low=6, high=12)})
    inputs = problem.draw(0, np.arange(1))
    rng = np.random.default_rng(0)
    state = tuple(torch.from_numpy(inputs[name]).double()[:, None] for name in ("u0", "v0"))
    given = (*state, torch.tensor([8.0], dtype=torch.float64))
    along = tuple(torch.from_numpy(rng.standard_normal(values.shape)) for values in given)

    def after(u: torch.Tensor, v: torch.Tensor, forcing: torch.Tensor) -> tuple[torch.Tensor, ...]:
        found = problem.again({"u": u, "v": v}, {"forcing": forcing}, 4)
        return found["u"], found["v"]

    _, tangents = torch.autograd.functional.jvp(after, given, along)
    h = 1e-6
    ends = [after(*(value + sign * h * way for value, way in zip(given, along, strict=True))) for sign in (1, -1)]
    for tangent, up, down in zip(tangents, *ends, strict=True):
        np.testing.assert_allclose(tangent, (up - down) / (2 * h), atol=1e-7 * float(tangent.abs().max()))
    back = tuple(torch.from_numpy(rng.standard_normal(tangent.shape)) for tangent in tangents)
    _, pulled = torch.autograd.functional.vjp(after, given, back)
    forth = sum(float((one * other).sum()) for one, other in zip(back, tangents, strict=True))
    assert forth == pytest.approx(sum(float((one * way).sum()) for one, way in zip(pulled, along, strict=True)))


def test_a_state_without_bounds_is_not_finite_and_raises_nothing() -> None:
    found = Lorenz96(steps=20, store_every=20, end=40.0, spin_up=0).simulate({"u0": 50 * np.eye(40)[:1]}, SOLVE)
    assert not np.isfinite(found["u"]).all()


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"coupling": {"low": 0, "high": 1}}, "fast is 0 and coupling is a range, expected a number"),
        ({"steps": 10, "store_every": 4}, "steps is 10 and store_every is 4"),
        ({"sites": 3}, "sites"),
        ({"time_ratio": 0}, "greater than 0"),
        ({"forcing": {"low": 8, "high": 2000}}, "high is 2000"),
    ],
)
def test_a_bad_field_is_named(given: dict[str, object], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        Lorenz96.model_validate(given)
