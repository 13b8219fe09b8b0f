from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import xarray as xr

from ritz.compute.fields.tensors import pack, unpack
from ritz.compute.surrogates.surrogate import Surrogate
from ritz.compute.training import checkpoint
from ritz.compute.training.buffers.fifo import FIFO
from ritz.compute.training.buffers.firo import FIRO
from ritz.compute.training.buffers.reservoir import Reservoir
from ritz.compute.training.losses.fields import RelativeH1, RelativeL2
from ritz.compute.training.online import Online
from ritz.compute.training.parts.optimiser import TorchOptimiser
from ritz.compute.training.parts.rate import TorchRate
from ritz.compute.training.parts.state import thaw
from ritz.compute.training.parts.stopping import Stopping
from ritz.compute.training.surroundings import Surroundings
from ritz.compute.training.trained import Trained

from .conftest import TINY, Lesson, Samples

ONLINE = Online(batches_per_sample=1.2, batch_size=2, buffer=Reservoir(capacity=8), watermark=4, validation=5, seed=1)


class Killed(Exception):
    pass


class Checkpoints:
    """Keeps every checkpoint and dies right after the one of a given step."""

    def __init__(self, die_at: int | None = None) -> None:
        self.blobs: list[bytes] = []
        self.die_at = die_at

    def save(self, blob: bytes) -> None:
        self.blobs.append(blob)
        if unpack(blob)[1]["step"] == self.die_at:
            raise Killed

    def load(self) -> bytes | None:
        return self.blobs[-1] if self.blobs else None


def _fit(
    template: xr.Dataset, samples: Samples, kept: Checkpoints, online: Online = ONLINE, surrogate: Surrogate = TINY
) -> Trained:
    source = samples.source(template, samples.arrivals([3, 1, 4, 0, 5, 9, 2, 6, 8, 7]))
    return online.fit(surrogate, source, Surroundings(load=kept.load, save=kept.save, save_every_s=0))


CHOICES: dict[str, dict[str, Any]] = {
    "fifo": {"buffer": FIFO(capacity=8), "batches_per_sample": 0.5},
    "firo": {"buffer": FIRO(capacity=8), "batches_per_sample": 0.5, "ema": 0.9},
    "drained": {"buffer": Reservoir(capacity=8, drain="evict"), "losses": (RelativeH1(), RelativeL2(weight=0.5))},
    "averaged": {"ema": 0.99, "clip": None},
    "stopping": {"stopping": Stopping(patience=3), "ema": 0.5},
    "momentum": {"optimiser": TorchOptimiser(name="SGD", settings={"lr": 0.05, "momentum": 0.9})},
    "one-cycle": {"rate": TorchRate(name="OneCycleLR", settings={"max_lr": 0.01, "total_steps": "steps"})},
    "plateau": {"rate": TorchRate(name="ReduceLROnPlateau", settings={"patience": 1, "factor": 0.3})},
    "quasi-newton": {"optimiser": TorchOptimiser(name="LBFGS", settings={"lr": 0.1, "max_iter": 2, "history_size": 3})},
    "bfloat16": {"precision": "bfloat16"},
}


@pytest.mark.parametrize("name", CHOICES)
def test_whatever_is_chosen_an_interrupted_training_ends_with_the_same_bits(
    name: str, template: xr.Dataset, samples: Samples
) -> None:
    online = Online.model_validate({**dict(ONLINE), **CHOICES[name], "validation": 4})
    every = Checkpoints()
    whole = _fit(template, samples, every, online)
    steps = len(whole.schedule)
    assert steps == (15 if online.buffer.reads_once else 36) or whole.stopped == steps
    for die_at in (steps // 3, steps - 2):
        kept = Checkpoints(die_at)
        with pytest.raises(Killed):
            _fit(template, samples, kept, online)
        resumed = _fit(template, samples, _after(kept), online)
        assert _outcome(resumed) == _outcome(whole)
        np.testing.assert_array_equal(resumed.schedule, whole.schedule)
        assert (resumed.stopped, resumed.best) == (whole.stopped, whole.best)


def _outcome(fit: Trained) -> tuple[bytes, list[dict[str, int | float | None]]]:
    return fit.model.to_bytes(), [{k: v for k, v in r.document().items() if k != "time"} for r in fit.curve]


@pytest.mark.parametrize("die_at", [0, 1, 5, 17, 29, 36])
def test_an_interrupted_training_ends_with_the_same_bits(die_at: int, template: xr.Dataset, samples: Samples) -> None:
    whole = _fit(template, samples, Checkpoints())
    kept = Checkpoints(die_at)
    with pytest.raises(Killed):
        _fit(template, samples, kept)
    resumed = _fit(template, samples, _after(kept))
    assert _outcome(resumed) == _outcome(whole)
    np.testing.assert_array_equal(resumed.schedule, whole.schedule)
    assert sorted(resumed.received) == sorted(whole.received)


@pytest.mark.parametrize("buffer", [FIRO(capacity=11), Reservoir(capacity=6)], ids=lambda buffer: buffer.kind)
def test_one_interrupted_within_a_block_ends_with_the_same_bits(buffer: FIRO | Reservoir, template: xr.Dataset) -> None:
    """Blocks of more samples than the buffer holds: steps are done between two samples of one."""
    large, ratio = Samples(40, shard=20), 0.5 if buffer.reads_once else 1.0
    online = ONLINE.model_copy(update={"buffer": buffer, "watermark": 6, "batch_size": 2, "batches_per_sample": ratio})

    def fit(kept: Checkpoints) -> Trained:
        around = Surroundings(load=kept.load, save=kept.save, save_every_s=0)
        return online.fit(TINY, large.source(template, large.arrivals([1, 0])), around)

    every = Checkpoints()
    whole = fit(every)
    headers = [unpack(blob)[1] for blob in every.blobs]
    within = [one["step"] for one in headers if thaw(one["ranks"][0]["reception"], {})["partial"]]
    assert len(within) > 5
    for die_at in within:
        kept = Checkpoints(die_at)
        with pytest.raises(Killed):
            fit(kept)
        assert _outcome(fit(_after(kept))) == _outcome(whole)


def test_a_training_interrupted_again_and_again_ends_with_the_same_bits(lesson: Lesson) -> None:
    def fit(kept: Checkpoints) -> Trained:
        return _fit(lesson.template, lesson.samples, kept, surrogate=lesson.surrogate)

    whole, kept = fit(Checkpoints()), Checkpoints()
    for die_at in range(3, 36, 6):
        kept = _after(kept, die_at)
        with pytest.raises(Killed):
            fit(kept)
    resumed = fit(_after(kept))
    assert _outcome(resumed) == _outcome(whole)
    np.testing.assert_array_equal(resumed.schedule, whole.schedule)
    assert sorted(resumed.received) == sorted(whole.received) == list(range(10))


def _after(kept: Checkpoints, die_at: int | None = None) -> Checkpoints:
    after = Checkpoints(die_at)
    after.blobs = kept.blobs[-1:]
    return after


def test_a_checkpoint_holds_ids_and_no_fields(template: xr.Dataset, samples: Samples) -> None:
    kept = Checkpoints()
    _fit(template, samples, kept)
    tensors, header = unpack(kept.blobs[-1])
    assert header["step"] == 36
    assert len(tensors["rank0/buffer/ids"]) == 8
    assert tensors["rank0/schedule/ids"].shape == (36, 2)
    assert tensors["rank0/validation/ids"].tolist() == [15, 7, 19, 3, 23]
    outside = [n for n in tensors if not n.startswith(("network/", "optimiser/"))]
    forecasts = [f"forecasts/{name}" for name in ("errors", "ids", "steps")]
    of_rank = ["buffer/ids", "buffer/seen", *forecasts, "schedule/ids", "validation/ids"]
    assert sorted(outside) == [*(f"rank0/{name}" for name in of_rank), "rng/cpu", "trace/losses"]


def test_a_finished_training_is_not_done_again(template: xr.Dataset, samples: Samples) -> None:
    kept = Checkpoints()
    whole = _fit(template, samples, kept)
    before = len(kept.blobs)
    assert _outcome(_fit(template, samples, kept)) == _outcome(whole)
    assert len(kept.blobs) <= before + 2


def test_the_checkpoint_of_another_recipe_is_refused(template: xr.Dataset, samples: Samples) -> None:
    kept = Checkpoints()
    _fit(template, samples, kept)
    with pytest.raises(ValueError, match=r"another recipe \(differing: \['training'\]\)"):
        _fit(template, samples, kept, ONLINE.model_copy(update={"seed": 2}))


def test_every_flipped_bit_of_a_checkpoint_is_noticed(template: xr.Dataset, samples: Samples) -> None:
    kept = Checkpoints(20)
    with pytest.raises(Killed):
        _fit(template, samples, kept)
    (blob,) = kept.blobs[-1:]
    recipe = unpack(blob)[1]["recipe"]
    checkpoint.normalisation(blob, recipe)
    length = 8 + int.from_bytes(blob[:8], "little")
    digest = blob.index(b"digest")
    # Each byte around the digest, and bytes of every other part: the length, the metadata, the tensors.
    places = [*range(digest - 4, digest + 84), *range(8), *range(8, length, 97), *range(length, len(blob), 997)]
    for place in places:
        flipped = bytearray(blob)
        flipped[place] ^= 1 << place % 8
        with pytest.raises(checkpoint.Corrupt, match="remove it to train anew"):
            checkpoint.normalisation(bytes(flipped), recipe)
    with pytest.raises(checkpoint.Corrupt, match="remove it to train anew"):
        checkpoint.normalisation(blob[:-1], recipe)


@pytest.mark.parametrize("older", ["ritz-training/3", "ritz-training/4"])
def test_the_checkpoint_of_an_earlier_release_is_refused_and_says_what_to_do(
    older: str, template: xr.Dataset, samples: Samples
) -> None:
    kept = Checkpoints(20)
    with pytest.raises(Killed):
        _fit(template, samples, kept)
    tensors, header = unpack(kept.blobs[-1])
    del header["digest"]
    before = Checkpoints()
    before.blobs = [pack(tensors, header | {"format": older})]
    with pytest.raises(
        checkpoint.Outdated, match=f"an earlier release .*{older}.* remove the checkpoint to train anew"
    ):
        _fit(template, samples, before)


def test_other_bytes_and_lost_samples_are_refused(template: xr.Dataset, samples: Samples) -> None:
    kept = Checkpoints(20)
    with pytest.raises(Killed):
        _fit(template, samples, kept)
    broken = Checkpoints()
    broken.blobs = [pack({}, {"format": "ritz-model/1"})]
    with pytest.raises(ValueError, match="format 'ritz-model/1', expected 'ritz-training/6'"):
        _fit(template, samples, broken)
    whole = samples.refill
    samples.refill = lambda ids, shard=-1: whole(ids if shard >= 0 else ids[:-1], shard)  # type: ignore[method-assign]
    with pytest.raises(ValueError, match="of the checkpoint's buffer are not in the dataset any more"):
        _fit(template, samples, _after(kept))
