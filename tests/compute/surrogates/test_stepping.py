from __future__ import annotations

from collections.abc import Sequence
from contextlib import nullcontext
from typing import Any

import numpy as np
import pytest
import torch
import xarray as xr

from ritz.compute.fields.dimensions import Dimensions
from ritz.compute.problems.darcy import Darcy
from ritz.compute.problems.evolutions.heat import Heat
from ritz.compute.surrogates.coordinate.fully_connected import FullyConnected
from ritz.compute.surrogates.ensemble.ensemble import Ensemble
from ritz.compute.surrogates.grid import Grid, StateChannels
from ritz.compute.surrogates.minibatch import Minibatch
from ritz.compute.surrogates.model import Model
from ritz.compute.surrogates.network import network
from ritz.compute.surrogates.networks.rollout import Rollout
from ritz.compute.surrogates.normalisation import Normalisation
from ritz.compute.surrogates.rollout.stepping import Stepping
from ritz.compute.surrogates.spectral.fno import FNO

INNER = FNO(modes=4, width=4, layers=1)
TIMES = (0.5, 1.0, 1.5, 2.0)


def template(n: int = 1, times: Sequence[float] = TIMES, **starts: str) -> xr.Dataset:
    """Return two outputs in time, one of which has two values at a point, and a medium."""
    about: dict[str, Any] = {"transform": "identity", "units": "1", "long_name": "value"}
    x = np.zeros((n, len(times), 2, 8), np.float32)
    starts = {"u": "u0", "v": "v0"} | starts
    return xr.Dataset(
        {
            "a": (("sample", "x"), x[:, 0, 0], about | {"role": "input"}),
            "v0": (("sample", "x"), x[:, 0, 0], about | {"role": "input"}),
            "u0": (("sample", "part", "x"), x[:, 0], about | {"role": "input"}),
            "u": (("sample", "time", "part", "x"), x, about | {"role": "output", "initial_state": starts["u"]}),
            "v": (("sample", "time", "x"), x[:, :, 0], about | {"role": "output", "initial_state": starts["v"]}),
        },
        coords={"time": list(times)},
    )


def samples(n: int = 5, times: Sequence[float] = TIMES) -> dict[str, np.ndarray]:
    """Return samples of du/dt = −u and dv/dt = −v: a step of 0.5 is a factor of e^−0.5."""
    rng = np.random.default_rng(0)
    u0, v0 = 3 + rng.standard_normal((n, 2, 8)), 20 * rng.standard_normal((n, 8))
    fall = np.exp(-np.array(times))
    fields = {
        "a": rng.random((n, 8)),
        "v0": v0,
        "u0": u0,
        "u": u0[:, None] * fall[:, None, None],
        "v": v0[:, None] * fall[:, None],
    }
    return {name: values.astype(np.float32) for name, values in fields.items()}


def model(surrogate: Stepping, times: Sequence[float] = TIMES) -> Model:
    torch.manual_seed(0)
    normalisation = Normalisation.fit(template(times=times), samples(times=times))
    return Model(surrogate, normalisation, network(surrogate, normalisation).eval())


class Falling(torch.nn.Module):
    """What an exact network of the change would be, with the length of the step in the last channel or a given one."""

    def __init__(self, length: float | None = None, unit: float = 1.0) -> None:
        super().__init__()
        self.length, self.unit = length, unit
        self.idle = torch.nn.Parameter(torch.zeros(1))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        length = self.length if self.length is not None else x[:, -1:] * self.unit
        return x[:, :3] * (torch.exp(-torch.as_tensor(length)) - 1) + self.idle


def exact(surrogate: Stepping, inside: Falling, times: Sequence[float] = TIMES) -> Model:
    found = model(surrogate, times)
    assert isinstance(found.module, Rollout)
    found.module.inner = inside
    return found


def loss_of(found: Model, fields: dict[str, np.ndarray], number: int = 0) -> float:
    """Return the objective of a step of the training."""
    assert isinstance(found.surrogate, Stepping)
    with torch.no_grad():
        return float(found.surrogate.objective(found.module, batch(found, fields, (0, number, 0))))


def batch(of: Model, fields: dict[str, np.ndarray], key: tuple[int, int, int] = (0, 0, 0)) -> Minibatch:
    x, y = (torch.from_numpy(of.normalisation.encode(role, fields)) for role in ("input", "output"))

    def losses(channels: torch.Tensor) -> torch.Tensor:
        return (channels - y).square().mean()

    return Minibatch(of.normalisation, x, y, losses, nullcontext, key)


def test_steps_of_an_exact_network_are_the_solution_at_all_times_and_beyond() -> None:
    found, fields = exact(Stepping(inner=INNER), Falling(0.5)), samples()
    for predicted, times in (
        (found.predict(fields), TIMES),
        (found.rollout(fields, TIMES), TIMES),
        (found.rollout(fields, (1.5, 2.5, 7.0)), (1.5, 2.5, 7.0)),
    ):
        wanted = samples(times=times)
        for name in ("u", "v"):
            assert predicted[name].shape == wanted[name].shape
            np.testing.assert_allclose(predicted[name], wanted[name], rtol=0, atol=1e-4)
    nothing = {name: values[:0] for name, values in fields.items()}
    assert found.rollout(nothing, (0.5, 1.0))["u"].shape == (0, 2, 2, 8)


@pytest.mark.parametrize("batch_size", [2, 32])
def test_a_network_that_sees_the_length_takes_steps_of_any(batch_size: int) -> None:
    found, fields = exact(Stepping(inner=INNER, pairs="all"), Falling(unit=2.0)), samples()
    times = (0.75, 1.9, 6.0)
    np.testing.assert_allclose(
        found.rollout(fields, times, batch_size)["v"], samples(times=times)["v"], rtol=0, atol=1e-4
    )


def test_uneven_times_are_seen_as_lengths() -> None:
    times = (0.25, 0.5, 1.5)
    found = exact(Stepping(inner=INNER, pairs_per_sample=3), Falling(unit=1.0), times)
    np.testing.assert_allclose(found.predict(samples())["u"], samples(times=times)["u"], rtol=0, atol=1e-4)


@pytest.mark.parametrize(
    "surrogate",
    [
        Stepping(inner=INNER),
        Stepping(inner=INNER, pairs_per_sample=1),
        Stepping(inner=INNER, pairs_per_sample=9),
        Stepping(inner=INNER, pushforward=3),
        Stepping(inner=INNER, pairs="all"),
    ],
    ids=["pairs", "one-pair", "more-than-there-are", "pushforward", "all-pairs"],
)
def test_nothing_is_to_be_learnt_of_an_exact_network(surrogate: Stepping) -> None:
    inside = Falling(unit=2.0) if surrogate.pairs == "all" else Falling(0.5)
    found = exact(surrogate, inside)
    for number in range(20):
        assert loss_of(found, samples(), number) < 1e-10
    # And a wrong one is seen: a change of every value by 1 in so many of all states.
    inside.idle.data += 1.0
    loss = loss_of(found, samples())
    if not surrogate.pushforward:
        assert loss == pytest.approx(min(1, surrogate.pairs_per_sample / len(TIMES)), rel=1e-4)


def test_what_an_objective_draws_follows_from_the_step_alone() -> None:
    surrogate = Stepping(inner=INNER, pairs="all", pairs_per_sample=2, noise=0.1)
    found = model(surrogate)
    values = [loss_of(found, samples(), k) for k in (3, 3, 4)]
    assert values[0] == values[1] != values[2]


def test_noise_moves_the_first_states() -> None:
    surrogate = Stepping(inner=INNER, noise=0.1)
    found = exact(surrogate, Falling(0.5))
    loss = loss_of(found, samples(200))
    assert loss == pytest.approx((0.1 * np.exp(-0.5)) ** 2, rel=0.05)


def test_no_gradient_goes_through_what_leads_to_a_pair() -> None:
    surrogate = Stepping(inner=INNER, pushforward=3)
    found = exact(surrogate, Falling(0.5))
    inside = found.module.inner
    assert isinstance(inside, Falling)
    inside.idle.data += 0.1
    losses = []
    for number in range(20):
        inside.idle.grad = None
        loss = surrogate.objective(found.module, batch(found, samples(), (0, number, 0)))
        loss.backward()
        losses.append(float(loss.detach()))
        # Of (error + change)² by the change of the last step alone, 2 √loss; through all steps it were more.
        assert inside.idle.grad is not None
        assert float(inside.idle.grad) == pytest.approx(2 * np.sqrt(losses[-1]), rel=0.2)
    assert max(losses) > 1.5 * min(losses)


def test_every_parameter_learns_and_every_input_counts() -> None:
    surrogate = Stepping(inner=INNER)
    found = model(surrogate)
    surrogate.objective(found.module, batch(found, samples())).backward()
    idle = [name for name, p in found.module.named_parameters() if p.grad is None or not p.grad.abs().max() > 0]
    assert idle == []
    fields = samples()
    before = found.predict(fields)["u"]
    for name in ("a", "u0", "v0"):
        assert not np.array_equal(found.predict({**fields, name: fields[name][::-1].copy()})["u"], before)


@pytest.mark.parametrize("pairs", ["consecutive", "all"])
def test_a_model_is_saved_and_read_bit_for_bit(pairs: Any) -> None:
    found = model(Stepping(inner=INNER, pairs=pairs))
    again = Model.from_bytes(found.to_bytes())
    assert again.to_bytes() == found.to_bytes()
    for name, values in found.rollout(samples(), (1.0, 3.0)).items():
        np.testing.assert_array_equal(again.rollout(samples(), (1.0, 3.0))[name], values)


def test_a_model_is_read_with_its_outputs_in_their_own_order() -> None:
    surrogate = Stepping(inner=INNER)
    normalisation = Normalisation.fit(template()[["a", "v0", "u0", "v", "u"]], samples())
    torch.manual_seed(0)
    found = Model(surrogate, normalisation, network(surrogate, normalisation).eval())
    again = Model.from_bytes(found.to_bytes())
    assert again.to_bytes() == found.to_bytes()
    assert list(again.normalisation.dimensions.variables) == ["a", "v0", "u0", "v", "u"]
    assert list(again.normalisation.dimensions.starts) == ["v", "u"]
    for name, values in found.predict(samples()).items():
        np.testing.assert_array_equal(again.predict(samples())[name], values)


def test_a_state_is_taken_as_many_steps_on_as_the_length_has() -> None:
    found, first = exact(Stepping(inner=INNER), Falling(0.5)), {"u": samples()["u0"], "v": samples()["v0"]}
    for length in (0.5, 1.0, 2.5):
        after = found.advance(samples(), first, length)
        for name in ("u", "v"):
            np.testing.assert_allclose(after[name], samples(times=(length,))[name][:, 0], rtol=0, atol=1e-4)
    with pytest.raises(ValueError, match=r"times has 0\.7 after 0, which is no whole number of steps"):
        found.advance(samples(), first, 0.7)


def test_an_ensemble_may_have_members_that_step() -> None:
    member = Stepping(inner=INNER)
    models = [model(member), model(member)]
    joined = Ensemble(member=member, size=2).joined(models)
    np.testing.assert_allclose(joined.predict(samples())["v"], models[0].predict(samples())["v"], rtol=1e-4, atol=1e-4)


def test_times_that_steps_do_not_lead_to_are_refused() -> None:
    even, all_pairs = model(Stepping(inner=INNER)), model(Stepping(inner=INNER, pairs="all"))
    for times, message in (
        ((0.7,), r"times has 0.7 after 0, which is no whole number of steps; the surrogate takes steps of 0.5"),
        ((1.0, 1.0), "times has 1 after 1, expected times that rise from above zero"),
        ((0.0,), "times has 0 after 0"),
        ((float("inf"),), "times has inf after 0"),
    ):
        with pytest.raises(ValueError, match=message):
            even.rollout(samples(), times)
    with pytest.raises(ValueError, match=r"times has 0.1 after 0, .* takes steps of 0.5 to 2"):
        all_pairs.rollout(samples(), (0.1,))
    plain = FNO(modes=4, width=4, layers=1)
    normalisation = Normalisation.fit(template(), samples())
    with pytest.raises(ValueError, match="'fno' predicts the times of its training alone; expected 'stepping'"):
        Model(plain, normalisation, network(plain, normalisation)).rollout(samples(), (0.5,))


@pytest.mark.parametrize(
    ("surrogate", "given", "message"),
    [
        (Stepping(), Darcy(shape=(8, 8)).template(1), "'stepping' needs a problem in time"),
        (Stepping(pushforward=4), template(), "pushforward is 4, expected less than the 4 stored times"),
        (Stepping(pushforward=1), Heat(shape=(8, 8), steps=4).template(1), "expected 0 where the times are uneven"),
        (Stepping(), template(v="u0"), r"output 'v' has the dimensions .*'u0' with \('part', 'x'\)"),
        (Stepping(), template(v="w0"), r"output 'v' .* is 'w0' with None"),
    ],
    ids=["steady", "long", "uneven", "other-dimensions", "unknown"],
)
def test_what_it_cannot_step_through_is_refused(surrogate: Stepping, given: xr.Dataset, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        surrogate.check(Grid.of(Dimensions.of(given)))


@pytest.mark.parametrize("inner", [Stepping(), Ensemble()], ids=lambda inner: inner.kind)
def test_what_is_inside_is_a_network_by_itself(inner: Any) -> None:
    with pytest.raises(ValueError, match=f"inner is '{inner.kind}', expected a network by itself"):
        Stepping(inner=inner)


def test_a_state_and_its_start_are_transformed_alike() -> None:
    given = template()
    given["v0"].attrs["transform"] = "log"
    fields = samples()
    normalisation = Normalisation.fit(given, fields | {"v0": np.abs(fields["v0"]) + 1})
    with pytest.raises(ValueError, match=r"output .v. has the transform .identity. .* .v0. has .log., expected"):
        network(Stepping(inner=INNER), normalisation)


def test_a_network_of_one_grid_inside_keeps_to_it() -> None:
    assert Stepping(inner=INNER).any_grid
    assert not Stepping(inner=FullyConnected()).any_grid


def test_channels_of_states_and_outputs() -> None:
    states = StateChannels.of(Dimensions.of(template()))
    assert states is not None
    assert (states.times, states.starts, states.sizes) == (TIMES, (2, 3, 1), (2, 1))
    module = Rollout(torch.nn.Identity(), states, 4, unit=None, change=False)
    channels = torch.arange(12.0)[None, :, None]
    stacked = module.stacked(channels)
    assert stacked[0, :, :, 0].tolist() == [[0, 1, 8], [2, 3, 9], [4, 5, 10], [6, 7, 11]]
    assert torch.equal(module.channels(stacked), channels)
