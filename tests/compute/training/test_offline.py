from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
import xarray as xr

from ritz.compute.surrogates.coordinate.fully_connected import FullyConnected
from ritz.compute.surrogates.spectral.fno import FNO
from ritz.compute.training.offline import Offline
from ritz.compute.training.parts.stopping import Stopping
from ritz.compute.training.samples.block import Block
from ritz.compute.training.samples.epochs import InMemory, batches
from ritz.compute.training.samples.supply import Given
from ritz.compute.training.surroundings import Surroundings
from ritz.compute.training.trained import Trained

from .conftest import Samples
from .test_checkpoint import Checkpoints, Killed

TINY = FNO(modes=4, width=6, layers=2)
OFFLINE = Offline(epochs=3, batch_size=4, validation=6, seed=2)


def _passes(samples: Samples, seed: int = 2, part: int = 7) -> InMemory:
    def of(split: str) -> tuple[np.ndarray, dict[str, np.ndarray]]:
        ids = np.flatnonzero(samples.split == split)
        return ids, {name: values[ids] for name, values in samples.fields.items()}

    return InMemory(*of("train"), of("validate"), seed, part)


def _fit(template: xr.Dataset, samples: Samples, kept: Checkpoints, offline: Offline = OFFLINE) -> Trained:
    return offline.fit(
        TINY,
        Given(template, samples.refill, fixed=_passes(samples)),
        Surroundings(load=kept.load, save=kept.save, save_every_s=0),
    )


@pytest.mark.parametrize(
    ("epochs", "batch_size", "steps"), [(3, 4, 23), (2.5, 4, 19), (1, 7, 5), (1, 64, 1), (4, 1, 120)]
)
def test_epochs_are_cut_into_whole_batches(epochs: float, batch_size: int, steps: int) -> None:
    assert Offline(epochs=epochs, batch_size=batch_size).steps(30) == steps
    assert steps >= epochs * 30 / batch_size > steps - 1


def test_every_epoch_has_every_sample_once_in_a_new_order(template: xr.Dataset, samples: Samples) -> None:
    fit = _fit(template, samples, Checkpoints())
    assert fit.schedule.shape == (23, 4)
    seen = fit.schedule.ravel()
    train = np.flatnonzero(samples.split == "train")
    for epoch in range(3):
        np.testing.assert_array_equal(np.sort(seen[30 * epoch : 30 * epoch + 30]), train)
    assert not np.array_equal(seen[:30], seen[30:60])
    # An order is fixed by seed and epoch: the two samples that fill the last batch begin the fourth.
    fourth = np.random.default_rng([2, 3]).permutation(30)
    np.testing.assert_array_equal(seen[90:], train[fourth[:2]])
    assert fit.unseen == 0
    assert fit.received == {}


@pytest.mark.parametrize("part", [1, 5, 64])
@pytest.mark.parametrize("done", [0, 3, 7, 8, 30])
def test_batches_go_on_where_they_were_left_whatever_the_parts(part: int, done: int, samples: Samples) -> None:
    whole, rest = (batches(_passes(samples, part=size), 4, start) for size, start in ((7, 0), (part, done)))
    expected = [next(whole) for _ in range(done + 12)][done:]
    for ids, fields in expected:
        again, values = next(rest)
        np.testing.assert_array_equal(again, ids)
        for name in fields:
            np.testing.assert_array_equal(values[name], fields[name])
            np.testing.assert_array_equal(values[name], samples.fields[name][ids])


@pytest.mark.parametrize("die_at", [1, 8, 22])
def test_an_interrupted_training_ends_with_the_same_bits(die_at: int, template: xr.Dataset, samples: Samples) -> None:
    offline = OFFLINE.model_copy(update={"ema": 0.9, "stopping": Stopping(patience=9)})
    whole = _fit(template, samples, Checkpoints(), offline)
    kept = Checkpoints(die_at)
    with pytest.raises(Killed):
        _fit(template, samples, kept, offline)
    after = Checkpoints()
    after.blobs = kept.blobs[-1:]
    resumed = _fit(template, samples, after, offline)
    assert resumed.model.to_bytes() == whole.model.to_bytes()
    np.testing.assert_array_equal(resumed.schedule, whole.schedule)
    assert resumed.best == whole.best is not None


def test_offline_training_learns_and_its_normalisation_is_of_all_samples(
    template: xr.Dataset, samples: Samples
) -> None:
    passes = _passes(samples)
    offline = Offline(epochs=30, batch_size=6, coarse=0.0, validation=10)
    source = Given(template, samples.refill, fixed=passes)
    fit = offline.fit(FullyConnected(width=64, layers=1), source, Surroundings())
    assert fit.curve[-1].loss < 0.5 * fit.curve[0].loss
    logs = np.log(samples.fields["a"][samples.split == "train"].astype(np.float64))
    assert fit.model.normalisation.inputs[0].mean == pytest.approx(logs.mean(), abs=1e-6)


def test_a_set_without_training_samples_is_an_error(template: xr.Dataset, samples: Samples) -> None:
    nothing = {name: values[:0] for name, values in samples.fields.items()}
    empty = InMemory(np.empty(0, np.int64), nothing, (np.empty(0, np.int64), nothing), 0)

    def refill(ids: np.ndarray) -> Block:
        raise AssertionError(ids)

    with pytest.raises(ValueError, match="there is no training sample"):
        OFFLINE.fit(TINY, Given(template, refill, fixed=empty), Surroundings())


def test_a_set_is_not_read_further_than_the_steps_need(samples: Samples) -> None:
    asked: list[int] = []

    class Counting(InMemory):
        def epoch(self, number: int) -> Iterator[tuple[np.ndarray, dict[str, np.ndarray]]]:
            asked.append(number)
            yield from super().epoch(number)

    passes = _passes(samples)
    counting = Counting(passes._ids, dict(passes._fields), passes._validation, 2)
    following = batches(counting, 4, 15)
    next(following)
    assert asked == [2]
