from __future__ import annotations

from contextlib import nullcontext
from typing import Any

import numpy as np
import pytest
import torch

from ritz.compute.fields.dimensions import Dimensions
from ritz.compute.problems.darcy import Darcy
from ritz.compute.surrogates.ensemble.ensemble import Ensemble
from ritz.compute.surrogates.grid import Grid
from ritz.compute.surrogates.minibatch import Minibatch
from ritz.compute.surrogates.model import Model
from ritz.compute.surrogates.network import network
from ritz.compute.surrogates.networks.latent_ode import LatentTrajectory
from ritz.compute.surrogates.normalisation import Normalisation
from ritz.compute.surrogates.rollout.latent_ode import LatentODE

from .test_stepping import TIMES, samples, template

SMALL: dict[str, Any] = {"latent": 5, "width": 8, "layers": 1}

KINDS: dict[str, LatentODE] = {
    "plain": LatentODE(**SMALL),
    "linear": LatentODE(**SMALL, coder_layers=0),
    "adjoint": LatentODE(**SMALL, adjoint=True),
    "local": LatentODE(**SMALL, regularise="local", strength=0.1),
    "local-stiffness": LatentODE(**SMALL, regularise="local", estimate="stiffness", strength=0.1),
    "local-adjoint": LatentODE(**SMALL, regularise="local", strength=0.1, adjoint=True),
    "global": LatentODE(**SMALL, regularise="global", strength=0.1),
    "global-stiffness": LatentODE(**SMALL, regularise="global", estimate="stiffness", strength=0.1),
}

kinds = pytest.mark.parametrize("surrogate", KINDS.values(), ids=KINDS)


def model(surrogate: LatentODE) -> Model:
    torch.manual_seed(0)
    normalisation = Normalisation.fit(template(), samples())
    return Model(surrogate, normalisation, network(surrogate, normalisation).eval())


def trajectory(of: Model) -> LatentTrajectory:
    assert isinstance(of.module, LatentTrajectory)
    return of.module


def batch(of: Model, number: int = 0) -> Minibatch:
    fields = samples()
    x, y = (torch.from_numpy(of.normalisation.encode(role, fields)) for role in ("input", "output"))

    def losses(channels: torch.Tensor) -> torch.Tensor:
        return (channels - y).square().mean()

    return Minibatch(of.normalisation, x, y, losses, nullcontext, (0, number, 0))


def loss_of(surrogate: LatentODE, number: int = 0, slope: float = 1.0) -> float:
    """Return the objective of a step of the training, where the equation is so many times as fast."""
    found = model(surrogate)
    last = trajectory(found).slope.layers[-1]
    with torch.no_grad():
        for value in last.parameters():
            value.mul_(slope)
        return float(surrogate.objective(found.module, batch(found, number)))


class Falling(torch.nn.Module):
    """The exact equation of du/dt = −u, in latent time of which one is the last time of the training."""

    def __init__(self) -> None:
        super().__init__()
        self.rate = torch.nn.Parameter(torch.tensor(-TIMES[-1]))

    def forward(self, latent: torch.Tensor) -> torch.Tensor:
        return self.rate * latent


def exact(rtol: float = 1e-5) -> Model:
    """Return a model whose latent state is the state itself, 24 values, in the channels of the outputs."""
    found = model(LatentODE(latent=24, width=8, layers=1, coder_layers=0, rtol=rtol))
    inside, given = trajectory(found), {one.name: one for one in found.normalisation.variables}
    encoder, decoder = inside.encoder.layers[0], inside.decoder.layers[0]
    assert isinstance(encoder, torch.nn.Linear)
    assert isinstance(decoder, torch.nn.Linear)
    with torch.no_grad():
        for value in (*encoder.parameters(), *decoder.parameters()):
            value.zero_()
        decoder.weight += torch.eye(24)
        # Inputs are a, v0 and the two parts of u0, on 8 points each; states are u and then v.
        for input_channel, channel, name in ((2, 0, "u"), (3, 1, "u"), (1, 2, "v")):
            for point in range(8):
                encoder.weight[8 * channel + point, 8 * input_channel + point] = (
                    given[f"{name}0"].scale / given[name].scale
                )
            encoder.bias[8 * channel : 8 * channel + 8] = given[f"{name}0"].mean / given[name].scale
    inside.slope = Falling()  # type: ignore[assignment]  # an equation that is known
    return found


def test_the_trajectory_of_an_exact_equation_is_the_solution_at_any_times() -> None:
    found, fields = exact(), samples()
    for predicted, times in (
        (found.predict(fields), TIMES),
        (found.rollout(fields, TIMES), TIMES),
        (found.rollout(fields, (0.01, 0.7, 1.9, 5.0)), (0.01, 0.7, 1.9, 5.0)),
    ):
        wanted = samples(times=times)
        for name in ("u", "v"):
            assert predicted[name].shape == wanted[name].shape
            np.testing.assert_allclose(predicted[name], wanted[name], rtol=0, atol=2e-3)
    nothing = {name: values[:0] for name, values in fields.items()}
    assert found.rollout(nothing, (0.5, 1.0))["u"].shape == (0, 2, 2, 8)


def test_no_sample_has_a_part_in_the_prediction_of_another() -> None:
    found, fields = model(LatentODE(**SMALL)), samples()
    fields["u0"][1] *= 30
    alone = found.predict({name: values[:1] for name, values in fields.items()})["u"]
    np.testing.assert_allclose(found.predict(fields)["u"][:1], alone, rtol=1e-5, atol=1e-6)
    x = torch.from_numpy(found.normalisation.encode("input", fields))
    with torch.no_grad():
        counts = trajectory(found).evaluations(x)
        assert torch.equal(counts[:1], trajectory(found).evaluations(x[:1]))
    assert int(counts.min()) >= 8


def test_tolerance_is_what_evaluations_are_spent_on() -> None:
    x = batch(exact()).x
    with torch.no_grad():
        few, many = (int(trajectory(exact(rtol)).evaluations(x).sum()) for rtol in (1e-2, 1e-6))
    assert many > 1.5 * few


@kinds
def test_every_parameter_learns_and_every_input_counts(surrogate: LatentODE) -> None:
    found, fields = model(surrogate), samples()
    surrogate.objective(found.module, batch(found)).backward()
    idle = [name for name, p in found.module.named_parameters() if p.grad is None or not p.grad.abs().max() > 0]
    assert idle == []
    before = found.predict(fields)["u"]
    for name in ("a", "u0", "v0"):
        assert not np.array_equal(found.predict({**fields, name: fields[name][::-1].copy()})["u"], before)


@pytest.mark.parametrize("regularise", ["none", "local"])
@pytest.mark.parametrize("estimate", ["error", "stiffness"])
def test_the_adjoint_equation_gives_the_gradient_of_the_objective(regularise: Any, estimate: Any) -> None:
    found = {}
    for adjoint in (False, True):
        how = LatentODE(**SMALL, adjoint=adjoint, regularise=regularise, estimate=estimate, strength=0.5, rtol=1e-5)
        one = model(how)
        how.objective(one.module, batch(one)).backward()
        found[adjoint] = torch.cat([p.grad.flatten() for p in one.module.parameters() if p.grad is not None])
    assert float((found[True] - found[False]).norm() / found[False].norm()) < 1e-3


@pytest.mark.parametrize("estimate", ["error", "stiffness"])
def test_one_step_at_random_times_says_what_all_steps_say(estimate: Any) -> None:
    plain = loss_of(LatentODE(**SMALL), slope=3.0)
    everywhere = loss_of(LatentODE(**SMALL, regularise="global", estimate=estimate, strength=10), slope=3.0) - plain
    one_time = LatentODE(**SMALL, regularise="local", estimate=estimate, strength=10)
    drawn = [loss_of(one_time, number, slope=3.0) - plain for number in range(40)]
    # It begins elsewhere than the steps of the trajectory.
    assert np.mean(drawn) == pytest.approx(everywhere, rel=0.3)
    assert np.std(drawn) > 0
    # A faster equation is a dearer one.
    assert everywhere > 0
    if estimate == "stiffness":
        slow = loss_of(LatentODE(**SMALL, regularise="global", estimate=estimate, strength=10)) - loss_of(
            KINDS["plain"]
        )
        assert everywhere > 2 * slow


def test_what_an_objective_draws_follows_from_the_step_alone() -> None:
    values = [loss_of(KINDS["local"], k) for k in (3, 3, 4)]
    assert values[0] == values[1] != values[2]
    assert loss_of(KINDS["global"], 3) == loss_of(KINDS["global"], 4)


def test_products_in_half_precision_leave_the_integrator_alone() -> None:
    found, surrogate = model(KINDS["plain"]), KINDS["plain"]
    given = batch(found)
    halved = Minibatch(
        given.normalisation, given.x, given.y, given.losses, lambda: torch.autocast("cpu", torch.bfloat16), given.key
    )
    with torch.no_grad():
        plain, half = (float(surrogate.objective(found.module, one)) for one in (given, halved))
    assert half == pytest.approx(plain, rel=0.02)
    assert half != plain


@kinds
def test_a_model_is_saved_and_read_bit_for_bit(surrogate: LatentODE) -> None:
    found = model(surrogate)
    again = Model.from_bytes(found.to_bytes())
    assert again.surrogate == surrogate
    assert again.to_bytes() == found.to_bytes()
    for name, values in found.rollout(samples(), (0.3, 3.0)).items():
        np.testing.assert_array_equal(again.rollout(samples(), (0.3, 3.0))[name], values)


def test_an_ensemble_may_have_such_members() -> None:
    member = KINDS["plain"]
    models = [model(member), model(member)]
    joined = Ensemble(member=member, size=2).joined(models)
    np.testing.assert_allclose(joined.predict(samples())["v"], models[0].predict(samples())["v"], rtol=1e-4, atol=1e-4)


def test_what_it_cannot_do_is_refused() -> None:
    surrogate = KINDS["plain"]
    with pytest.raises(ValueError, match="'latent_ode' needs a problem in time"):
        surrogate.check(Grid.of(Dimensions.of(Darcy(shape=(8, 8)).template(1))))
    with pytest.raises(ValueError, match="build it with build_on"):
        surrogate.build(4, 12)
    with pytest.raises(ValueError, match="7 output channels, expected 3 for each of 4 times"):
        surrogate.build_on(4, 7, Grid.of(Dimensions.of(template())))
    with pytest.raises(ValueError, match="adjoint is true and regularise is 'global', whose gradient goes through"):
        LatentODE(adjoint=True, regularise="global")
    found = model(surrogate)
    for times, message in (
        ((1.0, 1.0), "times has 1 after 1, expected times that rise from above zero"),
        ((0.0,), "times has 0 after 0"),
        ((float("inf"),), "times has inf after 0"),
        ((float("nan"),), "times has nan after 0"),
    ):
        with pytest.raises(ValueError, match=message):
            found.rollout(samples(), times)
    with pytest.raises(ValueError, match=r"on a grid of \(9,\) points; .* training alone, \(8,\)"):
        found.module(torch.zeros(1, 4, 9))
    short = model(LatentODE(**SMALL, max_steps=1, rtol=1e-6))
    with pytest.raises(FloatingPointError, match="5 trajectories are not at their ends after 1 steps"):
        short.predict(samples())
