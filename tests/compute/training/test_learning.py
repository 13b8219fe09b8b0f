"""What one step does, against torch itself: optimiser, average, early stopping, precision."""

from __future__ import annotations

import copy
import math
from typing import Any

import numpy as np
import pytest
import torch
import xarray as xr
from pydantic import ValidationError

from ritz.compute.surrogates.coordinate.fully_connected import FullyConnected
from ritz.compute.surrogates.normalisation import Normalisation
from ritz.compute.surrogates.spectral.fno import FNO
from ritz.compute.surrogates.surrogate import Surrogate
from ritz.compute.surrogates.weights import weights
from ritz.compute.training.buffers.reservoir import Reservoir
from ritz.compute.training.loop import Loop
from ritz.compute.training.online import Online
from ritz.compute.training.parts.optimiser import AdamW
from ritz.compute.training.parts.part import Validated
from ritz.compute.training.parts.precision import Arithmetic, check_device
from ritz.compute.training.parts.stopping import Best, Stopping
from ritz.compute.training.steps.descent import Descent
from ritz.compute.training.surroundings import Progress, Surroundings

from .conftest import Samples

STEPS = 12
TINY = FNO(modes=4, width=6, layers=2)


def _loop(
    template: xr.Dataset, samples: Samples, surrogate: Surrogate = TINY, total: int = STEPS, **options: Any
) -> tuple[Loop, np.ndarray]:
    given = {"buffer": Reservoir(capacity=8), "watermark": 4, "batch_size": 4, "coarse": 0.0, "augment": False}
    online = Online.model_validate(given | {"validation": 8} | options)
    torch.manual_seed(0)
    normalisation = Normalisation.fit(template, samples.fields)
    loop = online.loop(surrogate, normalisation, "square", total, refill=samples.refill, around=Surroundings())
    validation = np.flatnonzero(samples.split == "validate")
    loop.validation.add(validation, _fields(samples, validation))
    return loop, np.flatnonzero(samples.split == "train")


def _module(loop: Loop) -> torch.nn.Module:
    """The network that is trained, whose weights may be averaged in another."""
    assert isinstance(loop.action, Descent)
    return loop.action.module


def _fields(samples: Samples, ids: np.ndarray) -> dict[str, np.ndarray]:
    return {name: values[ids] for name, values in samples.fields.items()}


def _learn(loop: Loop, samples: Samples, ids: np.ndarray, steps: int) -> None:
    for step in range(steps):
        batch = np.roll(ids, 3 * step)[:4]
        loop.learn(batch, _fields(samples, batch))


def test_the_default_is_adamw_with_warm_up_cosine_and_clipping_bit_for_bit(
    template: xr.Dataset, samples: Samples
) -> None:
    loop, ids = _loop(template, samples)
    module = copy.deepcopy(_module(loop))
    optimiser = torch.optim.AdamW(module.parameters(), lr=5e-3, weight_decay=1e-4)
    _learn(loop, samples, ids, STEPS)
    for step in range(STEPS):
        rise, past = 0.15 * STEPS, (step - 0.15 * STEPS) / (STEPS - 0.15 * STEPS)
        for group in optimiser.param_groups:
            group["lr"] = 5e-3 * (step + 1) / (rise + 1) if step < rise else 5e-3 * 0.5 * (1 + math.cos(math.pi * past))
        fields = _fields(samples, loop.schedule.steps[step])
        x, y = (torch.from_numpy(loop.model().normalisation.encode(role, fields)) for role in ("input", "output"))
        optimiser.zero_grad()
        p, t = (loop.model().normalisation.decode(values).flatten(1) for values in (module(x), y))
        ((p - t).norm(dim=1) / t.norm(dim=1)).mean().backward()
        torch.nn.utils.clip_grad_norm_(module.parameters(), 1.0)
        optimiser.step()
    for ours, theirs in zip(_module(loop).parameters(), module.parameters(), strict=True):
        assert torch.equal(ours, theirs)


def test_the_average_is_that_of_the_weights_and_is_what_is_validated_and_kept(
    template: xr.Dataset, samples: Samples
) -> None:
    loop, ids = _loop(template, samples, ema=0.7)
    mean = {name: value.copy() for name, value in weights(_module(loop)).items()}
    for step in range(1, STEPS + 1):
        _learn(loop, samples, ids, 1)
        decay = min(0.7, (1 + step) / (10 + step))
        mean = {name: decay * mean[name] + (1 - decay) * value for name, value in weights(_module(loop)).items()}
    now, kept = weights(_module(loop)), weights(loop.finish().module)
    for name, value in kept.items():
        np.testing.assert_allclose(value, mean[name], rtol=1e-4, atol=1e-6)
        assert not np.array_equal(value, now[name])
    assert loop.curve.records[-1].validate == loop.validate()


def test_early_stopping_keeps_the_best_weights_and_counts_validations() -> None:
    best, module = Best(Stopping(patience=2, least=0.1)), torch.nn.Linear(1, 1)
    seen = []
    for step, (error, samples) in enumerate([(1.0, 4), (0.95, 4), (0.8, 8), (0.9, 8), (0.7, 8), (0.69, 8), (0.68, 8)]):
        torch.nn.init.constant_(module.weight, step)
        best.validated(Validated(error, samples, step, module))
        seen.append((best.error, best.step, best.stale))
    # 0.95 is not a tenth below 1; 0.8 is of other samples; 0.69 and 0.68 are not a tenth below 0.7.
    assert seen == [(1.0, 0, 0), (1.0, 0, 1), (0.8, 2, 0), (0.8, 2, 1), (0.7, 4, 0), (0.7, 4, 1), (0.7, 4, 2)]
    assert best.exhausted
    best.restore(module)
    assert module.weight.item() == 4


def test_a_training_that_gets_worse_stops_and_takes_in_the_rest_without_steps(
    template: xr.Dataset, samples: Samples
) -> None:
    online = Online(
        batches_per_sample=8,
        batch_size=4,
        buffer=Reservoir(capacity=8),
        watermark=4,
        optimiser=AdamW(learning_rate=0.5),
        validation=2,
        stopping=Stopping(patience=2),
    )
    progress: list[Progress] = []
    fit = online.fit(TINY, samples.source(template), Surroundings(progress=progress.append))
    assert fit.stopped is not None
    assert fit.stopped == len(fit.schedule) < 240
    assert sorted(fit.received) == list(range(10))
    assert progress[-1].received == 30
    assert progress[-1].step == fit.stopped
    assert fit.best is not None
    errors = [record.validate for record in fit.curve if record.validate is not None]
    assert fit.best.error == min(errors)
    # What was restored is what had that error.
    held = np.array([3, 7])
    predicted = fit.model.predict(_fields(samples, held))["u"] - samples.fields["u"][held]
    norms = [np.linalg.norm(values.reshape(2, -1), axis=1) for values in (predicted, samples.fields["u"][held])]
    assert np.mean(norms[0] / norms[1]) == pytest.approx(fit.best.error, rel=1e-5)


def test_clipping_bounds_the_step_and_none_leaves_it(template: xr.Dataset, samples: Samples) -> None:
    moved = {}
    for clip in (1e-3, None):
        sgd = {"kind": "torch", "name": "SGD", "settings": {"lr": 1.0}}
        loop, ids = _loop(template, samples, optimiser=sgd, rate="constant", clip=clip)
        before = {name: value.copy() for name, value in weights(_module(loop)).items()}
        _learn(loop, samples, ids, 1)
        after = weights(_module(loop))
        moved[clip] = math.sqrt(sum(np.sum(np.abs(after[name] - before[name]) ** 2) for name in after))
    assert moved[1e-3] == pytest.approx(1e-3, rel=1e-2)
    assert moved[None] > 0.01


@pytest.mark.parametrize("surrogate", [TINY, FullyConnected(width=16, layers=2)], ids=lambda kind: kind.kind)
def test_bfloat16_learns_about_as_float32_does_and_keeps_float32_weights(
    surrogate: Surrogate, template: xr.Dataset, samples: Samples
) -> None:
    losses = {}
    for precision in ("float32", "bfloat16"):
        loop, ids = _loop(template, samples, surrogate, precision=precision, total=40)
        _learn(loop, samples, ids, 40)
        losses[precision] = loop.curve.records[-1].loss
        assert all(value.dtype in (np.float32, np.complex64) for value in weights(_module(loop)).values())
    assert losses["bfloat16"] != losses["float32"]
    assert losses["bfloat16"] == pytest.approx(losses["float32"], rel=0.1)


def test_what_a_device_has_not_is_refused_by_name() -> None:
    with pytest.raises(ValueError, match="precision is 'float16', which device 'cpu' has not; expected one of float32"):
        Arithmetic("float16", "cpu")
    missing = [name for name in ("cuda", "mps") if not getattr(torch, name).is_available()]
    for device in missing:
        with pytest.raises(ValueError, match=f"device is '{device}', and torch .* expected one of cpu"):
            check_device(device)


def test_early_stopping_without_validation_samples_is_refused() -> None:
    with pytest.raises(ValidationError, match="validation is 0, expected at least 1: early stopping"):
        Online(validation=0, stopping=Stopping())


def test_one_batch_a_sample_is_the_ratio_of_a_buffer_that_is_read_once() -> None:
    assert Online.model_validate({"buffer": "fifo", "batch_size": 16}).batches_per_sample == 1 / 16
    assert Online.model_validate({"buffer": {"kind": "firo"}}).steps(100) == 13
    assert Online().batches_per_sample == 2.5
    with pytest.raises(ValidationError, match=r"batches_per_sample is 2.5, expected 0.125 .* or none given"):
        Online.model_validate({"buffer": "fifo", "batches_per_sample": 2.5})
