from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import xarray as xr
from pydantic import ValidationError

from ritz.compute.fields.tensors import unpack
from ritz.compute.surrogates.surrogate import Surrogate
from ritz.compute.training.buffers.reservoir import Reservoir
from ritz.compute.training.online import Online
from ritz.compute.training.parts.optimiser import AdamW
from ritz.compute.training.parts.stopping import Stopping
from ritz.compute.training.replay import Recorded, compare, replay
from ritz.compute.training.surroundings import Surroundings
from ritz.compute.training.trained import Trained
from ritz.compute.training.training_record import TrainingMachine

from .conftest import TINY, Lesson, Samples

ONLINE = Online(
    batches_per_sample=1.2,
    batch_size=2,
    buffer=Reservoir(capacity=8),
    watermark=5,
    optimiser=AdamW(learning_rate=1e-2),
    validation=5,
    seed=3,
)


class Killed(Exception):
    pass


def _fit(
    template: xr.Dataset,
    samples: Samples,
    die_at: tuple[int, ...] = (),
    online: Online = ONLINE,
    surrogate: Surrogate = TINY,
) -> Trained:
    """Train, killed after some steps and going on each time."""
    blobs: list[bytes] = []
    to_come = list(die_at)

    def save(blob: bytes) -> None:
        blobs.append(blob)
        if to_come and unpack(blob)[1]["step"] == to_come[0]:
            to_come.pop(0)
            raise Killed

    while True:
        try:
            return online.fit(
                surrogate,
                samples.source(template, samples.arrivals([3, 1, 4, 0, 5, 9, 2, 6, 8, 7])),
                Surroundings(load=lambda: blobs[-1] if blobs else None, save=save, save_every_s=0 if die_at else 60),
            )
        except Killed:
            continue


def _recorded(fit: Trained) -> Recorded:
    return Recorded(
        schedule=fit.schedule,
        losses=np.array(fit.trace.losses),
        curve=fit.curve,
        validation=fit.validation,
        total=fit.total,
        machines=fit.trace.machines,
        model=fit.model,
    )


def _again(recorded: Recorded, samples: Samples, online: Online = ONLINE, **options: Any) -> dict[str, Any]:
    def fields(ids: np.ndarray) -> dict[str, np.ndarray]:
        return {name: values[ids] for name, values in samples.fields.items()}

    def steps() -> Iterator[tuple[np.ndarray, dict[str, np.ndarray]]]:
        for ids in recorded.schedule:
            yield ids, fields(ids)

    replayed = replay(online, samples.symmetries, recorded, steps(), fields(recorded.validation), **options)
    return compare(recorded, replayed).document()


@pytest.fixture
def recorded(template: xr.Dataset, samples: Samples) -> Recorded:
    return _recorded(_fit(template, samples))


def test_a_training_is_done_again_bit_for_bit(recorded: Recorded, samples: Samples) -> None:
    found = _again(recorded, samples)
    assert (found["agrees"], found["exact"], found["equal"], found["first_difference"]) == (True, True, True, None)
    assert (found["steps"], found["records"], found["curve_difference"], found["weights_difference"]) == (36, 36, 0, 0)
    assert len(recorded.losses) == len(recorded.schedule) == 36
    assert sum(record.validate is not None for record in recorded.curve) == 36
    # The set of the validation error grew meanwhile.
    assert recorded.curve[0].validation < recorded.curve[-1].validation == 5


@pytest.mark.parametrize("die_at", [(17,), (1, 9, 30)])
def test_a_training_that_was_killed_too(die_at: tuple[int, ...], lesson: Lesson) -> None:
    template, samples = lesson.template, lesson.samples
    whole = _fit(template, samples, surrogate=lesson.surrogate)
    killed = _recorded(_fit(template, samples, die_at, surrogate=lesson.surrogate))
    assert killed.losses.tolist() == whole.trace.losses
    assert [one.first for one in killed.machines] == [0]
    found = _again(killed, samples)
    assert (found["agrees"], found["exact"], found["equal"]) == (True, True, True)


@pytest.mark.parametrize(
    "changes",
    [
        {"ema": 0.9},
        {"stopping": Stopping(patience=2)},
        {"ema": 0.8, "stopping": Stopping(patience=3), "precision": "bfloat16", "clip": None},
    ],
    ids=lambda changes: ", ".join(changes),
)
def test_averages_and_early_stopping_are_done_again_too(
    changes: dict[str, Any], template: xr.Dataset, samples: Samples
) -> None:
    online = ONLINE.model_copy(update=changes)
    fit = _fit(template, samples, (9,), online)
    found = _again(_recorded(fit), samples, online)
    assert (found["agrees"], found["exact"], found["equal"]) == (True, True, True)
    assert found["steps"] == len(fit.schedule) == (fit.stopped or 36)


def _swap_a_sample(recorded: Recorded) -> Recorded:
    schedule = recorded.schedule.copy()
    schedule[20, 0] = next(one for one in schedule[30] if one not in schedule[20])
    return replace(recorded, schedule=schedule)


def _change_a_loss(recorded: Recorded) -> Recorded:
    losses = recorded.losses.copy()
    losses[20] = np.nextafter(losses[20], 1.0)
    return replace(recorded, losses=losses)


@pytest.mark.parametrize("tamper", [_swap_a_sample, _change_a_loss])
def test_the_first_step_that_differs_is_named(
    tamper: Callable[[Recorded], Recorded], recorded: Recorded, samples: Samples
) -> None:
    tampered = tamper(recorded)
    found = _again(tampered, samples)
    assert (found["agrees"], found["equal"], found["first_difference"]["step"]) == (False, False, 21)
    assert found["first_difference"]["recorded"] == tampered.losses[20]
    assert found["first_difference"]["replayed"] != tampered.losses[20]
    assert found["steps_differing"] == (1 if tamper is _change_a_loss else 16)


def test_other_weights_are_found(recorded: Recorded, samples: Samples) -> None:
    import torch

    with torch.no_grad():
        next(recorded.model.module.parameters()).view(-1)[0] += 1e-6
    found = _again(recorded, samples)
    assert (found["agrees"], found["first_difference"], found["equal"]) == (False, None, False)
    assert 0 < found["weights_difference"] < 1e-4


@pytest.mark.parametrize(("what", "value"), [("torch", "1.0"), ("threads", 64)])
def test_another_machine_is_said_and_compared_with_a_tolerance(
    what: str, value: Any, recorded: Recorded, samples: Samples
) -> None:
    elsewhere = replace(recorded, machines=[recorded.machines[0].changed(**{what: value})])
    found = _again(elsewhere, samples, threads=1)
    here = getattr(recorded.machines[0], what)
    assert found["differing"] == [{"what": what, "recorded": value, "here": here}]
    assert (found["exact"], found["agrees"], found["tolerance"]) == (False, True, 0.02)
    other = _again(_swap_a_sample(elsewhere), samples, threads=1)
    assert not other["agrees"]
    assert other["curve_difference"] > 0.02


def test_a_machine_of_which_an_older_release_knew_little_is_another(recorded: Recorded, samples: Samples) -> None:
    older = TrainingMachine.model_validate({"device": "cpu", "threads": 1})
    assert older.first == 0
    found = _again(replace(recorded, machines=[older]), samples)
    here = recorded.machines[0].document()
    assert found["differing"] == [
        {"what": what, "recorded": None, "here": here[what]}
        for what in ("torch", "numpy", "processor", "capability", "pardiso")
    ]
    assert (found["exact"], found["equal"], found["agrees"], found["steps"]) == (False, True, True, 36)
    with pytest.raises(ValidationError, match=r"device\n  Field required"):
        TrainingMachine.model_validate({"first": 0, "threads": 1})


def test_the_time_of_the_steps_is_kept_over_a_kill(template: xr.Dataset, samples: Samples) -> None:
    whole, killed = _fit(template, samples), _fit(template, samples, (10,))
    assert whole.trace.seconds > 0
    assert killed.trace.seconds > whole.trace.seconds / 4
    assert len(killed.trace.losses) == 36
