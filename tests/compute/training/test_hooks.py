"""A network that is trained by an objective of its own, and one that draws its answers."""

from __future__ import annotations

from dataclasses import replace
from typing import ClassVar, Literal

import numpy as np
import pytest
import torch
import xarray as xr

from ritz.compute.surrogates.coordinate.fully_connected import FullyConnected
from ritz.compute.surrogates.minibatch import Minibatch
from ritz.compute.surrogates.model import Model
from ritz.compute.surrogates.network import Network, network
from ritz.compute.surrogates.normalisation import Normalisation
from ritz.compute.training.online import Online
from ritz.compute.training.replay import Recorded, compare, replay
from ritz.compute.training.steps.descent import Descent
from ritz.compute.training.surroundings import Surroundings

from .conftest import Samples
from .test_checkpoint import ONLINE, Checkpoints, Killed
from .test_checkpoint import _after as after


class Noisy(Network):
    """A point-wise map that is trained on noisy inputs, by the mean square in normalised channels."""

    kind: Literal["noisy"] = "noisy"

    def build(self, inputs: int, outputs: int, axes: int = 2) -> torch.nn.Module:
        return (torch.nn.Conv1d, torch.nn.Conv2d)[axes - 1](inputs, outputs, 1)

    def objective(self, module: torch.nn.Module, batch: Minibatch) -> torch.Tensor:
        noise = torch.randn(batch.x.shape, generator=batch.generator())
        with batch.arithmetic():
            return (module(batch.x + 0.1 * noise) - batch.y).square().mean()


class Drawing(Noisy):
    """One that draws around its answer."""

    kind: Literal["drawing"] = "drawing"  # type: ignore[assignment]  # a kind of its own, as every subclass has

    stochastic: ClassVar[bool] = True

    def sample(
        self, module: torch.nn.Module, x: torch.Tensor, members: int, generator: torch.Generator
    ) -> torch.Tensor:
        mean = module(x)
        return mean + 0.5 * torch.randn((members, *mean.shape), generator=generator)


def _batch(normalisation: Normalisation, key: tuple[int, int, int] = (0, 0, 0)) -> Minibatch:
    x, y = torch.randn(2, 3, 1, 8, 8)

    def losses(channels: torch.Tensor) -> torch.Tensor:
        return (channels - y).abs().mean()

    return Minibatch(normalisation, x, y, losses, torch.no_grad, key)


def test_the_default_objective_is_the_recipes_losses(template: xr.Dataset, samples: Samples) -> None:
    normalisation = Normalisation.fit(template, samples.fields)
    surrogate = FullyConnected(width=4, layers=1)
    module, batch = network(surrogate, normalisation), _batch(normalisation)
    assert torch.equal(surrogate.objective(module, batch), (module(batch.x) - batch.y).abs().mean())


def test_random_numbers_of_an_objective_come_from_seed_step_and_rank(template: xr.Dataset, samples: Samples) -> None:
    batch = _batch(Normalisation.fit(template, samples.fields), (5, 7, 1))
    first = torch.rand(4, generator=batch.generator())
    assert torch.equal(torch.rand(4, generator=batch.generator()), first)
    for key in ((6, 7, 1), (5, 8, 1), (5, 7, 0)):
        assert not torch.equal(torch.rand(4, generator=replace(batch, key=key).generator()), first)


def test_an_objective_of_its_own_is_what_is_made_small(template: xr.Dataset, samples: Samples) -> None:
    normalisation = Normalisation.fit(template, samples.fields)
    online = Online(augment=False, coarse=0.0, seed=4)
    loop = online.loop(Noisy(), normalisation, "square", 3, refill=samples.refill, around=Surroundings())
    step, ids = loop.action, np.arange(8)
    assert isinstance(step, Descent)
    fields = {name: values[ids] for name, values in samples.fields.items()}
    x, y = (torch.from_numpy(normalisation.encode(role, fields)) for role in ("input", "output"))
    loop.learn(ids, fields)
    # The second step: its noise is drawn from its own number.
    noise = torch.randn(x.shape, generator=replace(_batch(normalisation), key=(4, 1, 0)).generator())
    with torch.no_grad():
        expected = float((step.module(x + 0.1 * noise) - y).square().mean())
    assert loop.learn(ids, fields) == pytest.approx(expected, rel=1e-6)


def test_a_training_with_an_objective_of_its_own_goes_on_and_is_replayed_bit_for_bit(
    template: xr.Dataset, samples: Samples
) -> None:
    source = samples.source(template)
    whole = ONLINE.fit(Noisy(), source, Surroundings())
    kept = Checkpoints(17)
    with pytest.raises(Killed):
        ONLINE.fit(Noisy(), source, Surroundings(load=kept.load, save=kept.save, save_every_s=0))
    rest = after(kept)
    resumed = ONLINE.fit(Noisy(), source, Surroundings(load=rest.load, save=rest.save))
    assert resumed.model.to_bytes() == whole.model.to_bytes()

    def fields(ids: np.ndarray) -> dict[str, np.ndarray]:
        return {name: values[ids] for name, values in samples.fields.items()}

    losses = np.array(whole.trace.losses)
    recorded = Recorded(
        whole.schedule, losses, whole.curve, whole.validation, whole.total, whole.trace.machines, whole.model
    )
    steps = ((ids, fields(ids)) for ids in whole.schedule)
    assert compare(recorded, replay(ONLINE, "square", recorded, steps, fields(whole.validation))).equal


def test_draws_are_fixed_by_their_seed_and_lie_around_the_answer(template: xr.Dataset, samples: Samples) -> None:
    normalisation = Normalisation.fit(template, samples.fields)
    model = Model(Drawing(), normalisation, network(Drawing(), normalisation))
    drawn = model.sample(samples.fields, members=200, seed=3)["u"]
    assert drawn.shape == (200, 40, 8, 8)
    assert drawn.dtype == np.float32
    np.testing.assert_array_equal(model.sample(samples.fields, members=200, seed=3)["u"], drawn)
    assert not np.array_equal(model.sample(samples.fields, members=200, seed=4)["u"], drawn)
    answer, scale = model.predict(samples.fields)["u"], normalisation.outputs[0].scale
    np.testing.assert_allclose(drawn.std(axis=0).mean(), 0.5 * scale, rtol=0.02)
    np.testing.assert_allclose(drawn.mean(axis=0), answer, atol=5 * 0.5 * scale / np.sqrt(200))
    nothing = {name: values[:0] for name, values in samples.fields.items()}
    assert model.sample(nothing, members=3, seed=0)["u"].shape == (3, 0, 8, 8)


def test_what_cannot_be_drawn_is_refused(template: xr.Dataset, samples: Samples) -> None:
    normalisation = Normalisation.fit(template, samples.fields)
    model = Model(Noisy(), normalisation, network(Noisy(), normalisation))
    with pytest.raises(ValueError, match="the surrogate 'noisy' is deterministic: there is nothing to draw"):
        model.sample(samples.fields, members=2, seed=0)
    with pytest.raises(ValueError, match="members is 0, expected at least 1"):
        model.sample(samples.fields, members=0, seed=0)
