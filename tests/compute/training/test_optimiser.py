from __future__ import annotations

import warnings
from typing import Any

import pytest
import torch
from pydantic import ValidationError

from ritz.compute.training.parts.optimiser import TorchOptimiser, evaluates_again
from ritz.compute.training.parts.part import Validated
from ritz.compute.training.parts.rate import Constant, Cosine, TorchRate
from ritz.compute.training.parts.state import freeze, thaw

REFUSED = {"SparseAdam", "Optimizer"}
OPTIMISERS = sorted(
    name
    for name, cls in vars(torch.optim).items()
    if isinstance(cls, type) and issubclass(cls, torch.optim.Optimizer) and name not in REFUSED
)
RATES: dict[str, dict[str, Any]] = {
    "StepLR": {"step_size": 2},
    "MultiStepLR": {"milestones": [2, 3], "gamma": 0.5},
    "ConstantLR": {},
    "LinearLR": {"total_iters": "steps"},
    "ExponentialLR": {"gamma": 0.9},
    "PolynomialLR": {"total_iters": "steps"},
    "CosineAnnealingLR": {"T_max": "steps"},
    "CosineAnnealingWarmRestarts": {"T_0": 3},
    "CyclicLR": {"base_lr": 0.001, "max_lr": 0.01, "step_size_up": 2},
    "OneCycleLR": {"max_lr": 0.01, "total_steps": "steps"},
    "ReduceLROnPlateau": {"patience": 1},
}
STEPS = 8


def _train(
    optimiser: TorchOptimiser, rate: TorchRate | Constant, steps: int, kept: dict[str, Any] | None = None
) -> tuple[list[float], torch.Tensor, dict[str, Any], dict[str, Any]]:
    """Fit a small matrix; go on from what another call kept."""
    torch.manual_seed(0)
    weight = torch.nn.Parameter(torch.randn(3, 3))
    built = optimiser.build([weight])
    follower = rate.follow(built, STEPS)
    if kept is not None:
        weight.data.copy_(torch.from_numpy(kept["tensors"]["weight"].copy()))
        state = thaw(kept["state"], kept["tensors"])
        built.load_state_dict(state["optimiser"])
        follower.load(state["rate"])
    rates = []
    for step in range(0 if kept is None else kept["step"], steps):
        follower.before(step)

        def evaluate() -> float:
            built.zero_grad()
            loss = (weight @ weight - torch.eye(3)).square().sum()
            loss.backward()
            return loss.item()

        rates.append(built.param_groups[0]["lr"])
        if evaluates_again(built):
            built.step(evaluate)
        else:
            evaluate()
            built.step()
        follower.after(step + 1)
        if step % 2:
            follower.validated(Validated(1.0, 1, step + 1, torch.nn.Identity()))
    tensors: dict[str, Any] = {}
    state = freeze({"optimiser": built.state_dict(), "rate": follower.state()}, "state", tensors)
    tensors["weight"] = weight.detach().numpy().copy()
    return rates, weight.detach(), {"state": state, "tensors": tensors, "step": steps}, built.state_dict()


@pytest.mark.parametrize("name", OPTIMISERS)
def test_every_optimiser_of_torch_can_be_chosen_and_goes_on_from_its_state(name: str) -> None:
    optimiser = TorchOptimiser(name=name, settings={"lr": 0.01})
    _, whole, _, _ = _train(optimiser, Constant(), STEPS)
    _, _, kept, _ = _train(optimiser, Constant(), 3)
    _, resumed, _, _ = _train(optimiser, Constant(), STEPS, kept)
    assert torch.equal(resumed, whole)


@pytest.mark.parametrize("name", RATES)
def test_every_schedule_of_torch_can_be_chosen_and_goes_on_from_its_state(name: str) -> None:
    optimiser = TorchOptimiser(name="SGD", settings={"lr": "1e-2", "momentum": 0.9})
    rate = TorchRate(name=name, settings=RATES[name])
    rates, whole, _, _ = _train(optimiser, rate, STEPS)
    _, _, kept, _ = _train(optimiser, rate, 3)
    again, resumed, _, _ = _train(optimiser, rate, STEPS, kept)
    assert torch.equal(resumed, whole)
    assert again == rates[3:]
    assert len(set(rates)) > 1


def test_the_schedules_of_torch_are_all_here() -> None:
    from torch.optim import lr_scheduler

    found = {
        name
        for name, cls in vars(lr_scheduler).items()
        if isinstance(cls, type) and issubclass(cls, lr_scheduler.LRScheduler) and not name.startswith("_")
    }
    nested = {"LambdaLR", "MultiplicativeLR", "SequentialLR", "ChainedScheduler"}
    assert found - {"LRScheduler"} - nested == set(RATES)
    for name in nested:
        with pytest.raises(ValidationError, match="made of other schedules or of a function"):
            TorchRate(name=name)


def test_the_default_rises_and_falls_along_half_a_cosine() -> None:
    rates = [Cosine(warm_up=0.2).at(step, 100, 0.5) for step in range(100)]
    assert rates[0] == pytest.approx(0.5 / 21)
    assert max(rates) == rates[20] == 0.5
    assert rates[60] == pytest.approx(0.25)
    assert rates[99] < 2e-4


@pytest.mark.parametrize(
    ("kind", "given", "message"),
    [
        (TorchOptimiser, {"name": "Adamm"}, "name is 'Adamm', expected one of torch's own: ASGD, Adadelta, .*SGD"),
        (TorchOptimiser, {"name": "SparseAdam"}, "is for sparse gradients"),
        (TorchOptimiser, {"name": "SGD", "settings": {"beta": 1}}, "settings has beta, which SGD of torch does not"),
        (TorchOptimiser, {"name": "SGD", "settings": {"params": 1}}, "settings has params"),
        (TorchOptimiser, {"name": "SGD", "settings": {"lr": -1}}, "torch.optim.SGD refuses these .*-1"),
        (TorchOptimiser, {"name": "Adam", "settings": {"betas": "high"}}, "torch.optim.Adam refuses these settings"),
        (TorchRate, {"name": "StepLR"}, "settings lacks step_size, which StepLR of torch cannot do without"),
        (TorchRate, {"name": "StepLR", "settings": {"size": 3}}, "settings has size, .* expected some of step_size"),
        (TorchRate, {"name": "StepLR", "settings": {"step_size": "x"}}, "lr_scheduler.StepLR refuses these"),
        (TorchRate, {"name": "StepLR", "settings": {"step_size": 0}}, "lr_scheduler.StepLR refuses these"),
        (TorchRate, {"name": "OneCycleLR", "settings": {"max_lr": 1}}, "lr_scheduler.OneCycleLR refuses these"),
    ],
)
def test_what_torch_would_refuse_is_refused_in_one_sentence(kind: Any, given: dict[str, Any], message: str) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(ValidationError, match=message):
            kind(**given)


def test_an_optimiser_that_a_network_has_not_is_refused_by_name() -> None:
    muon = TorchOptimiser(name="Muon")
    with pytest.raises(ValueError, match=r"optimiser 'torch' does not go with this surrogate: .*2D"):
        muon.try_on(torch.nn.Linear(2, 2))
