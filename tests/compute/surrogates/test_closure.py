from __future__ import annotations

from collections.abc import Mapping
from contextlib import nullcontext
from typing import Any

import numpy as np
import pytest
import torch
import xarray as xr
from pydantic import ValidationError

from ritz.compute.fields.dimensions import Dimensions
from ritz.compute.problems.darcy import Darcy
from ritz.compute.problems.evolutions.heat import Heat
from ritz.compute.problems.evolutions.kuramoto_sivashinsky import KuramotoSivashinsky
from ritz.compute.problems.evolutions.lorenz96 import Lorenz96
from ritz.compute.problems.evolutions.marching import Marching
from ritz.compute.problems.evolutions.wave import Wave
from ritz.compute.problems.problem import Arrays, Solve
from ritz.compute.problems.ranges import Range
from ritz.compute.simulation.coarsening import Grids
from ritz.compute.surrogates.convolutional.neighbourhood import Neighbourhood
from ritz.compute.surrogates.ensemble.ensemble import Ensemble
from ritz.compute.surrogates.grid import Grid
from ritz.compute.surrogates.minibatch import Minibatch
from ritz.compute.surrogates.model import Model
from ritz.compute.surrogates.network import network
from ritz.compute.surrogates.networks.closure import Closed
from ritz.compute.surrogates.normalisation import Normalisation
from ritz.compute.surrogates.rollout.closure import Closure
from ritz.compute.surrogates.rollout.stepping import Stepping

INNER = Neighbourhood(width=4, layers=1)


def no_systems(systems: object) -> np.ndarray:
    raise AssertionError(f"explicit steps posed {systems}")


SOLVE: Solve = no_systems

ONE = Lorenz96(sites=8, steps=8, store_every=2, end=0.4, spin_up=20)
RANGED = ONE.model_copy(update={"forcing": Range(low=6, high=12)})
TWO = Lorenz96(sites=6, fast=3, steps=40, store_every=10, end=0.2, spin_up=0, coupling=Range(low=0.5, high=1, log=True))
FLAMES = KuramotoSivashinsky(points=16, steps=8, store_every=2, end=4.0, viscosity=Range(low=0.8, high=1.2))

SOUND = Wave(shape=(8, 12), steps=30, store_every=2, end=0.5, speed=Range(low=0.5, high=1.0))
COARSER: dict[str, Marching] = {"flames": FLAMES, "sound": SOUND}

PROBLEMS: dict[str, Marching] = {"one-scale": ONE, "ranged": RANGED, "two-scales": TWO, "flames": FLAMES}


def samples(problem: Marching, n: int = 3) -> Arrays:
    inputs = problem.draw(0, np.arange(n))
    fields = inputs | problem.simulate(inputs, SOLVE)
    return {name: values.astype(np.float32) for name, values in fields.items()}


class Constant(torch.nn.Module):
    """A tendency that is the same for all states."""

    def __init__(self, channels: int, value: float = 0.0) -> None:
        super().__init__()
        self.channels = channels
        self.value = torch.nn.Parameter(torch.tensor(value))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.value * torch.ones_like(x[:, : self.channels])


def model(
    coarse: Marching, data: Marching | None = None, inside: torch.nn.Module | None = None, **given: Any
) -> tuple[Model, Arrays]:
    """Return an untrained closure for the data of a problem, by default the coarse one, and some samples."""
    torch.manual_seed(0)
    of = data or coarse
    surrogate, fields = Closure(inner=INNER, coarse=coarse, **given), samples(of)
    normalisation = Normalisation.fit(of.template(1), fields)
    module = network(surrogate, normalisation)
    assert isinstance(module, Closed)
    if inside is not None:
        module.inner = inside
    return Model(surrogate, normalisation, module.eval()), fields


def batch(found: Model, fields: Mapping[str, np.ndarray], number: int = 0) -> Minibatch:
    x, y = (torch.from_numpy(found.normalisation.encode(role, fields)) for role in ("input", "output"))

    def losses(channels: torch.Tensor) -> torch.Tensor:
        return (channels - y).square().mean()

    return Minibatch(found.normalisation, x, y, losses, nullcontext, (0, number, 0))


@pytest.mark.parametrize("problem", PROBLEMS.values(), ids=PROBLEMS)
def test_without_a_tendency_it_is_the_coarse_problem_itself(problem: Marching) -> None:
    channels = 4 if problem is TWO else 1
    found, fields = model(problem, inside=Constant(channels))
    for name, values in found.predict(fields).items():
        np.testing.assert_allclose(values, fields[name], rtol=0, atol=2e-4 * np.abs(fields[name]).max())
    # Between the stored times and beyond them, too.
    times = tuple(problem.interval * np.array([1, 2, 9]))
    inputs = {name: values.astype(np.float64) for name, values in problem.draw(0, np.arange(3)).items()}
    first = dict(problem.start(inputs).fields)
    rolled = found.rollout(fields, times)
    for place, steps in enumerate((1, 2, 9)):
        for name, wanted in problem.march(first, inputs, steps).items():
            np.testing.assert_allclose(rolled[name][:, place], wanted, rtol=0, atol=2e-4 * np.abs(wanted).max())


@pytest.mark.parametrize("coarse", COARSER.values(), ids=COARSER)
@pytest.mark.parametrize("halvings", [1, 2])
def test_on_a_coarser_grid_it_adds_what_the_coarse_problem_changes_there(coarse: Marching, halvings: int) -> None:
    grids = Grids.above(coarse, halvings)
    assert isinstance(grids, Grids)
    shape = tuple(2**halvings * points for points in Dimensions.of(coarse.template(1)).shape)
    points = {"points": shape[0]} if isinstance(coarse, KuramotoSivashinsky) else {"shape": shape}
    # Of the data only the grid is asked: steps that are stable on the coarse one may not be on theirs.
    data = coarse.model_copy(update=points)
    channels = len(coarse.start(coarse.draw(0, np.arange(1))).fields)
    inputs = data.draw(0, np.arange(3))
    rng = np.random.default_rng(0)
    outputs = {
        str(name): rng.standard_normal((3, *one.shape[1:])).astype(np.float32)
        for name, one in data.template(1).data_vars.items()
        if one.attrs["role"] == "output"
    }
    normalisation = Normalisation.fit(data.template(1), {**inputs, **outputs})
    surrogate = Closure(inner=INNER, coarse=coarse)
    module = network(surrogate, normalisation)
    module.inner = Constant(channels)
    found = Model(surrogate, normalisation, module.eval()).rollout(inputs, (coarse.interval,))
    wide = {name: values.astype(np.float64) for name, values in inputs.items()}
    below = grids.restrict(wide)
    before = dict(coarse.start(below).fields)
    changes = {name: values - before[name] for name, values in coarse.march(before, below, 1).items()}
    for name, first in Dimensions.of(data.template(1)).starts.items():
        wanted = wide[first] + grids.prolong({first: changes[name]})[first]
        np.testing.assert_allclose(found[name][:, 0], wanted, rtol=0, atol=1e-5 * np.abs(wanted).max())
    again = Model.from_bytes(Model(surrogate, normalisation, network(surrogate, normalisation)).to_bytes())
    assert again.rollout(inputs, (coarse.interval,)).keys() == found.keys()


def test_a_tendency_is_what_is_added_per_last_time_in_deviations() -> None:
    # From rest, without forcing, the coarse problem stays at rest: u grows by what is added.
    rest = ONE.model_copy(update={"forcing": 0.0})
    fields = samples(ONE)
    normalisation = Normalisation.fit(ONE.template(1), fields)
    module = network(Closure(inner=INNER, coarse=rest), normalisation)
    module.inner = Constant(1, 0.001)
    found = Model(Closure(inner=INNER, coarse=rest), normalisation, module.eval())
    once = found.rollout({"u0": np.zeros((1, 8), np.float32)}, (0.05, 0.4))["u"]
    scale = normalisation.outputs[0].scale
    np.testing.assert_allclose(once[:, 0], 0.001 * scale * 0.05 / 0.4, rtol=1e-4)
    # In eight steps it is damped on the way, −X alone at so small values that are alike: ∫ e^−t dt.
    added = np.exp(-0.05) * 0.001 * scale / 8
    np.testing.assert_allclose(once[:, 1], added * np.exp(0.05) * sum(np.exp(-0.05 * k) for k in range(8)), rtol=1e-4)


def test_a_network_learns_what_the_coarse_problem_lacks() -> None:
    # Data of another forcing: what lacks is a constant, F' − F per unit of time but for the damping within a step.
    found, fields = model(ONE, ONE.model_copy(update={"forcing": 8.5}), inside=Constant(1))
    inside = found.module.inner
    assert isinstance(inside, Constant)
    assert isinstance(found.surrogate, Closure)
    losses: list[float] = []
    slopes: list[float] = []
    # Almost a parabola: the root of the line through two slopes is the least.
    for value in (0.0, 0.5, None):
        inside.value.data.fill_(0.5 * slopes[0] / (slopes[0] - slopes[1]) if value is None else value)
        inside.value.grad = None
        loss = found.surrogate.objective(found.module, batch(found, fields))
        loss.backward()
        assert inside.value.grad is not None
        losses.append(float(loss.detach()))
        slopes.append(float(inside.value.grad))
    learnt = float(inside.value.detach()) * found.normalisation.outputs[0].scale / 0.4
    assert learnt == pytest.approx(0.5, rel=0.05)
    # What is left is of the splitting: a forcing acts within a step, a tendency after it.
    assert losses[2] < 0.05 * losses[0]


@pytest.mark.parametrize("given", [{}, {"pairs": "all"}, {"pushforward": 2}, {"pairs_per_sample": 1}])
def test_nothing_is_to_be_learnt_where_the_coarse_problem_is_right(given: dict[str, Any]) -> None:
    found, fields = model(ONE, inside=Constant(1), **given)
    assert isinstance(found.surrogate, Closure)
    with torch.no_grad():
        for number in range(5):
            assert float(found.surrogate.objective(found.module, batch(found, fields, number))) < 1e-9


def test_gradients_go_through_all_steps_of_the_solver() -> None:
    found, fields = model(RANGED, pairs="all")
    assert isinstance(found.surrogate, Closure)
    values = []
    for number in (3, 3, 4):
        found.module.zero_grad()
        loss = found.surrogate.objective(found.module, batch(found, fields, number))
        loss.backward()
        values.append(float(loss.detach()))
        idle = [name for name, p in found.module.named_parameters() if p.grad is None or not p.grad.abs().max() > 0]
        assert idle == []
    # What is drawn follows from the step alone.
    assert values[0] == values[1] != values[2]


def test_the_derivative_by_a_tendency_is_a_quotient_of_differences() -> None:
    found, fields = model(RANGED, inside=Constant(1, 0.1))
    module = found.module.double()
    assert isinstance(module, Closed)
    x = torch.from_numpy(found.normalisation.encode("input", fields)).double()
    weights = torch.from_numpy(np.random.default_rng(0).standard_normal((3, 4, 8)))

    def total(value: float) -> torch.Tensor:
        assert isinstance(module.inner, Constant)
        module.inner.value.data.fill_(value)
        answer: torch.Tensor = (module(x) * weights).sum()
        return answer

    total(0.1).backward()
    slope = module.inner.value.grad
    assert isinstance(slope, torch.Tensor)
    h = 1e-5
    quotient = (total(0.1 + h) - total(0.1 - h)).detach() / (2 * h)
    assert float(quotient) == pytest.approx(float(slope), rel=1e-6)


@pytest.mark.parametrize("problem", [RANGED, TWO], ids=["ranged", "two-scales"])
def test_a_model_is_saved_and_read_bit_for_bit(problem: Marching) -> None:
    found, fields = model(problem)
    again = Model.from_bytes(found.to_bytes())
    assert again.surrogate == found.surrogate
    assert again.to_bytes() == found.to_bytes()
    for name, values in found.predict(fields).items():
        np.testing.assert_array_equal(again.predict(fields)[name], values)


def test_members_of_an_ensemble_may_be_closures() -> None:
    found, fields = model(ONE)
    assert isinstance(found.surrogate, Closure)
    joined = Ensemble(member=found.surrogate, size=2).joined([found, found])
    np.testing.assert_allclose(joined.predict(fields)["u"], found.predict(fields)["u"], rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("problem", [RANGED, TWO], ids=["ranged", "ranged-log"])
def test_members_with_other_scales_are_read_with_these(problem: Marching) -> None:
    surrogate, fields = Closure(inner=INNER, coarse=problem), samples(problem, 6)
    members = []
    for rows in (slice(0, 3), slice(3, 6)):
        normalisation = Normalisation.fit(problem.template(1), {name: one[rows] for name, one in fields.items()})
        members.append(Model(surrogate, normalisation, network(surrogate, normalisation).eval()))
    joined = Ensemble(member=surrogate, size=2).joined(members)
    again = Model.from_bytes(joined.to_bytes())
    for name, values in joined.members(fields).items():
        np.testing.assert_array_equal(again.members(fields)[name], values)
        for member, own in zip(members, values, strict=True):
            np.testing.assert_allclose(own, member.predict(fields)[name], rtol=0, atol=1e-4 * np.abs(own).max())


def test_data_of_the_resolved_variables_alone_are_enough() -> None:
    # The slow variables of a system with two scales.
    data = TWO.model_copy(update={"coupling": 1.0})
    fields = samples(data)
    template, coarse = data.template(1)[["u0", "u"]], Lorenz96(sites=6, steps=4, store_every=1, end=0.2)
    normalisation = Normalisation.fit(template, fields)
    surrogate = Closure(inner=INNER, coarse=coarse)
    predicted = Model(surrogate, normalisation, network(surrogate, normalisation).eval()).predict(fields)
    assert {name: values.shape for name, values in predicted.items()} == {"u": (3, 4, 6)}


def test_times_and_grids_that_the_coarse_problem_does_not_reach_are_refused() -> None:
    found, fields = model(ONE)
    message = r"times has 0.12 after 0, .*; the surrogate takes steps of 0.05, end/steps of its coarse problem"
    with pytest.raises(ValueError, match=message):
        found.rollout(fields, (0.12,))
    with pytest.raises(ValueError, match=r"times has 0.02 after 0"):
        found.rollout(fields, (0.02,))
    with pytest.raises(ValueError, match=r"grid of \(9,\) points; the coarse problem lies on .* alone, \(8,\)"):
        found.predict({"u0": np.zeros((1, 9), np.float32)})
    assert not found.surrogate.any_grid


def _without(name: str) -> xr.Dataset:
    return ONE.template(1).rename(dict(zip(("u0", "u"), (f"{name}0", name), strict=True)))


@pytest.mark.parametrize(
    ("coarse", "given", "message"),
    [
        (ONE, Darcy(shape=(8, 8)).template(1), "'closure' needs a problem in time"),
        (
            ONE,
            Lorenz96().template(1),
            r"coarse is 'lorenz96' on \(8,\) points, expected \(40,\), .* or 2, 4",
        ),
        (ONE, Lorenz96(sites=16).template(1), r"\(16,\), those of the data: the problem has no field shape or points"),
        (FLAMES, FLAMES.model_copy(update={"points": 8}).template(1), r"on \(16,\) points, expected \(8,\), .* fewer"),
        (SOUND, SOUND.model_copy(update={"shape": (16, 12)}).template(1), "or 2, 4, 8 … times fewer along every axis"),
        (ONE, Lorenz96(sites=8, fast=2).template(1), r"\(1,\) channels of a state, expected \(1, 2\)"),
        (ONE, Lorenz96(sites=8, end=0.96, steps=32).template(1), "times has 0.24 after 0, which is no whole number"),
    ],
    ids=["steady", "grid", "sites", "finer", "one-axis", "variables", "times"],
)
def test_data_that_do_not_go_with_the_coarse_problem_are_refused(
    coarse: Marching, given: xr.Dataset, message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        Closure(inner=INNER, coarse=coarse).check(Grid.of(Dimensions.of(given)))


def test_variables_of_other_names_and_another_box_are_refused() -> None:
    with pytest.raises(ValueError, match=r"'kuramoto_sivashinsky' in a box of \(20.0,\), expected \(22.0,\)"):
        model(FLAMES.model_copy(update={"length": 20.0}), FLAMES)
    with pytest.raises(ValueError, match=r"'lorenz96' with the inputs .* of which the data lack \['forcing'\]"):
        model(RANGED, ONE)
    fields = {"w0": samples(ONE)["u0"], "w": samples(ONE)["u"]}
    template = _without("w")
    template["w"].attrs["initial_state"] = "w0"
    with pytest.raises(ValueError, match=r"first states \{'u': 'u0'\}, expected \{'w': 'w0'\}, those of the data"):
        network(Closure(inner=INNER, coarse=ONE), Normalisation.fit(template, fields))


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({}, "coarse"),
        ({"coarse": Heat()}, "coarse is 'heat', expected a problem in explicit steps"),
        ({"coarse": Darcy()}, "coarse is 'darcy', expected a problem in explicit steps"),
        ({"coarse": ONE, "inner": Stepping()}, "inner is 'stepping', expected a network by itself"),
        ({"coarse": ONE, "change": False}, "change"),
    ],
)
def test_a_bad_field_is_named(given: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        Closure(**given)
