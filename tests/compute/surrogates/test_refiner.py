"""Steps that are refined in passes: `tests/compute/surrogates/test_stepping.py` has what they share with others."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
import torch

from ritz.compute.fields.dimensions import Dimensions
from ritz.compute.problems.darcy import Darcy
from ritz.compute.surrogates.coordinate.fully_connected import FullyConnected
from ritz.compute.surrogates.ensemble.ensemble import Ensemble
from ritz.compute.surrogates.grid import Grid
from ritz.compute.surrogates.model import Model
from ritz.compute.surrogates.networks.refining import Refining
from ritz.compute.surrogates.rollout.refiner import Refiner
from ritz.compute.surrogates.rollout.stepping import Stepping

from .test_stepping import INNER, TIMES, batch, loss_of, model, samples


class Exact(torch.nn.Module):
    """What an exact network says in every pass, for steps of 0.5 or of the length that it sees.

    ``shift`` is what it is wrong by, in deviations of every pass.
    """

    def __init__(self, surrogate: Refiner, shift: float = 0.0) -> None:
        super().__init__()
        self.surrogate, self.seen = surrogate, list[torch.Tensor]()
        self.shift = torch.nn.Parameter(torch.tensor(shift))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.seen.append(x)
        surrogate = self.surrogate
        length = x[:, 7:8] * TIMES[-1] if surrogate.pairs == "all" else torch.tensor(0.5)
        state, candidate, number = x[:, :3], x[:, 3:6], passes_of(x, surrogate.passes)[:, None, None]
        later = state * torch.exp(-length) - (state if surrogate.change else 0)
        deviations = torch.tensor(surrogate.deviations)[number]
        noise = (candidate * surrogate.largest - later) / deviations
        return torch.where(number == 0, later / deviations, noise) + self.shift


def passes_of(x: torch.Tensor, passes: int) -> torch.Tensor:
    """Return in which pass each sample is, by the last channels of what a network sees: one is 1, the others are 0."""
    which = x[:, -passes - 1 :, 0]
    assert which.sort(dim=1).values.tolist() == [[0.0] * passes + [1.0]] * len(x)
    return which.argmax(dim=1)


def exact(surrogate: Refiner, shift: float = 0.0) -> tuple[Model, Exact]:
    found, inside = model(surrogate), Exact(surrogate, shift)
    assert isinstance(found.module, Refining)
    found.module.inner = inside
    return found, inside


KINDS: dict[str, Refiner] = {
    "passes": Refiner(inner=INNER, smallest=0.1),
    "one-pass": Refiner(inner=INNER, passes=1, smallest=0.1),
    "states": Refiner(inner=INNER, smallest=0.1, change=False),
    "all-pairs": Refiner(inner=INNER, smallest=0.1, pairs="all"),
    "pushforward": Refiner(inner=INNER, smallest=0.1, pushforward=2),
}

kinds = pytest.mark.parametrize("surrogate", KINDS.values(), ids=KINDS)


@kinds
def test_predictions_and_draws_of_an_exact_network_are_the_solution(surrogate: Refiner) -> None:
    found, _ = exact(surrogate)
    drawn = found.sample(samples(), members=3, seed=0)
    later = (1.5, 2.5, 6.0)
    for predicted, times in (
        (found.predict(samples()), TIMES),
        (found.rollout(samples(), later), later),
        *(({name: values[k] for name, values in drawn.items()}, TIMES) for k in range(3)),
        ({name: values[0] for name, values in found.sample_rollout(samples(), later, 1, 0).items()}, later),
    ):
        for name, wanted in samples(times=times).items():
            if name in predicted:
                np.testing.assert_allclose(predicted[name], wanted, rtol=0, atol=2e-4)


@kinds
def test_nothing_is_to_be_learnt_of_an_exact_network(surrogate: Refiner) -> None:
    found, inside = exact(surrogate)
    for number in range(10):
        assert loss_of(found, samples(), number) < 1e-8
    # A wrong one is off by as much in every pass: noise is counted in its own deviations.
    inside.shift.data += 1.0
    if not surrogate.pushforward:
        assert loss_of(found, samples()) == pytest.approx(1.0, rel=1e-3)


@pytest.mark.parametrize("change", [False, True], ids=["states", "changes"])
def test_a_pass_sees_candidates_with_noise_of_its_own_deviation(change: bool) -> None:
    surrogate = Refiner(inner=INNER, passes=2, largest=0.5, smallest=0.005, change=change)
    assert surrogate.deviations == pytest.approx((0.5, 0.05, 0.005))
    found, inside = exact(surrogate)
    loss_of(found, samples(300))
    (seen,) = inside.seen
    number = passes_of(seen, 2)
    assert torch.bincount(number).min() > 300
    off = 0.5 * seen[:, 3:6] - seen[:, :3] * (np.exp(-0.5) - change)
    assert (seen[number == 0, 3:6] == 0).all()
    for k in (1, 2):
        assert off[number == k].std() == pytest.approx(surrogate.deviations[k], rel=0.03)


@pytest.mark.parametrize("passes", [1, 3])
def test_a_step_goes_through_all_passes_and_is_off_by_what_is_wrong_in_the_last(passes: int) -> None:
    surrogate = Refiner(inner=INNER, passes=passes, smallest=0.001, change=False)
    found, inside = exact(surrogate, shift=1.0)
    assert isinstance(found.module, Refining)
    state, others = torch.zeros(2, 3, 8), torch.zeros(2, 1, 8)
    for generator in (None, torch.Generator().manual_seed(0)):
        inside.seen.clear()
        with torch.no_grad():
            after = found.module.step(state, others, 0.5, generator)
        assert [passes_of(x, passes).tolist() for x in inside.seen] == [[k, k] for k in range(passes + 1)]
        # The noise that is taken off is too large by 1 of its deviations.
        torch.testing.assert_close(after, torch.full_like(after, -0.001), rtol=1e-3, atol=1e-6)


def test_draws_are_fixed_by_their_seed_and_differ_and_the_prediction_does_not_depend_on_other_samples() -> None:
    found, fields = model(Refiner(inner=INNER, smallest=0.1)), samples()
    drawn = found.sample(fields, members=4, seed=3)["u"]
    assert drawn.shape == (4, 5, 4, 2, 8)
    np.testing.assert_array_equal(found.sample(fields, members=4, seed=3)["u"], drawn)
    assert not np.array_equal(found.sample(fields, members=4, seed=4)["u"], drawn)
    assert drawn.std(axis=0).min() > 0
    np.testing.assert_array_equal(found.sample_rollout(fields, TIMES, 4, 3)["u"], drawn)
    assert found.sample_rollout(fields, (0.5, 3.0), 2, 0)["v"].shape == (2, 5, 2, 8)
    nothing = {name: values[:0] for name, values in fields.items()}
    assert found.sample_rollout(nothing, (0.5, 3.0), 2, 0)["v"].shape == (2, 0, 2, 8)
    many = found.sample({name: values[:1] for name, values in fields.items()}, members=40, seed=3)["u"]
    assert many.shape == (40, 1, 4, 2, 8)
    assert len({one.tobytes() for one in many}) == 40
    alone = found.predict({name: values[2:3] for name, values in fields.items()})["u"]
    np.testing.assert_allclose(found.predict(fields)["u"][2:3], alone, rtol=1e-5, atol=1e-5)


def test_what_an_objective_draws_follows_from_the_step_alone() -> None:
    found = model(Refiner(inner=INNER, noise=0.1, pushforward=1))
    values = [loss_of(found, samples(), k) for k in (3, 3, 4)]
    assert values[0] == values[1] != values[2]


@kinds
def test_every_parameter_learns(surrogate: Refiner) -> None:
    found = model(surrogate)
    surrogate.objective(found.module, batch(found, samples())).backward()
    idle = [name for name, p in found.module.named_parameters() if p.grad is None or not p.grad.abs().max() > 0]
    assert idle == []


@pytest.mark.parametrize("surrogate", [KINDS["passes"], KINDS["all-pairs"]], ids=["passes", "all-pairs"])
def test_a_model_is_saved_and_read_bit_for_bit(surrogate: Refiner) -> None:
    found = model(surrogate)
    again = Model.from_bytes(found.to_bytes())
    assert again.surrogate == surrogate
    assert again.to_bytes() == found.to_bytes()
    np.testing.assert_array_equal(again.predict(samples())["u"], found.predict(samples())["u"])
    np.testing.assert_array_equal(again.sample(samples(), 2, 0)["v"], found.sample(samples(), 2, 0)["v"])


def test_a_step_of_a_state_is_that_of_the_rollout() -> None:
    found, fields = model(Refiner(inner=INNER)), samples()
    after = found.advance(fields, {"u": fields["u0"], "v": fields["v0"]}, 0.5)
    first = found.rollout(fields, (0.5,))
    for name, values in after.items():
        np.testing.assert_allclose(values, first[name][:, 0], rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("times", [(0.7,), (1.0, 1.0)])
def test_draws_at_times_that_steps_do_not_lead_to_are_refused(times: Sequence[float]) -> None:
    with pytest.raises(ValueError, match=f"times has {times[-1]:g} after"):
        model(Refiner(inner=INNER)).sample_rollout(samples(), times, 2, 0)


def test_what_cannot_be_drawn_at_any_times_is_refused() -> None:
    with pytest.raises(ValueError, match="'stepping' is deterministic: there is nothing to draw"):
        model(Stepping(inner=INNER)).sample_rollout(samples(), (0.5,), 2, 0)
    with pytest.raises(ValueError, match="members is 0, expected at least 1"):
        model(Refiner(inner=INNER)).sample_rollout(samples(), (0.5,), 0, 0)
    joined = Ensemble(member=Stepping(inner=INNER), size=2).joined([model(Stepping(inner=INNER)) for _ in range(2)])
    with pytest.raises(ValueError, match="'ensemble' draws at the times of its training alone; expected 'refiner'"):
        joined.sample_rollout(samples(), (0.5,), 2, 0)


def test_noise_that_does_not_fall_is_refused() -> None:
    with pytest.raises(ValueError, match=r"smallest is 0\.5, expected less than largest = 0\.5"):
        Refiner(smallest=0.5, largest=0.5)


@pytest.mark.parametrize("inner", [Stepping(), Refiner(), Ensemble()], ids=lambda inner: inner.kind)
def test_what_is_inside_is_a_network_by_itself(inner: Any) -> None:
    with pytest.raises(ValueError, match=f"inner is '{inner.kind}', expected a network by itself"):
        Refiner(inner=inner)


def test_it_is_no_member_of_an_ensemble() -> None:
    with pytest.raises(ValueError, match="member is 'refiner', which draws its answers"):
        Ensemble(member=Refiner())


def test_a_steady_problem_is_refused_and_a_network_of_one_grid_keeps_to_it() -> None:
    with pytest.raises(ValueError, match="'refiner' needs a problem in time"):
        Refiner().check(Grid.of(Dimensions.of(Darcy(shape=(8, 8)).template(1))))
    assert not Refiner(inner=FullyConnected()).any_grid
