"""Samples through a torch dataset, and how long a training loop waits for them."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import h5py
import numpy as np
import torch
import xarray as xr
from torch.utils.data import DataLoader, Dataset

from benchmarks.stores.data import Samples
from benchmarks.stores.formats import HDF5, Format, PlainZarr, Ritz
from ritz.compute.problems.problem import Arrays
from ritz.compute.surrogates.normalisation import Normalisation
from ritz.compute.surrogates.spectral.fno import FNO
from ritz.compute.surrogates.surrogate import Surrogate
from ritz.compute.training.loop import Loop
from ritz.compute.training.online import Online
from ritz.compute.training.samples.block import Block
from ritz.compute.training.surroundings import Surroundings
from ritz.storage.loading import ShardStream
from ritz.storage.selection import Selection
from ritz.storage.store import Store

BATCH = 32
FIELDS = ("a", "u")


class MapStyle(Dataset):
    """What one writes around an HDF5 file or a Zarr store: a sample for an index."""

    def __init__(self, made: Format) -> None:
        self.made = made
        self.arrays: Any = None

    def __len__(self) -> int:
        return self.made.samples

    def __getitem__(self, i: int) -> dict[str, torch.Tensor]:
        if self.arrays is None:
            # Opened where it is read: workers of a loader cannot share a file that is open.
            if isinstance(self.made, HDF5):
                self.arrays = h5py.File(self.made.path / "0.h5")
            else:
                import zarr

                self.arrays = dict(zarr.open_group(self.made.path, mode="r").arrays())
        return {name: torch.from_numpy(self.arrays[name][i]) for name in FIELDS}


class Epochs:
    """One way to go through all samples in random order; calling it gives the seconds of an epoch."""

    def __init__(self, batches: Any, samples: int) -> None:
        self.batches, self.samples, self.epoch = batches, samples, 0

    def __call__(self) -> float:
        start = time.perf_counter()
        self.epoch += 1
        if isinstance(self.batches, ShardStream):
            self.batches.set_epoch(self.epoch)
        count = sum(len(batch["u"]) for batch in self.batches)
        assert count == self.samples, (count, self.samples)
        return time.perf_counter() - start


def stream(made: Ritz, splits: tuple[str, ...] | None = None, **options: Any) -> Epochs:
    """Return epochs over a dataset of this project."""
    chosen = Selection(Store(made.path), "made@head", splits=splits)
    return Epochs(ShardStream(chosen, batch_size=BATCH, **options), len(chosen))


def loader(made: HDF5 | PlainZarr, workers: int = 0) -> Epochs:
    """Return epochs over another format, through torch's own sampler and loader."""
    options: dict[str, Any] = {"persistent_workers": True, "multiprocessing_context": "spawn"} if workers else {}
    return Epochs(
        DataLoader(MapStyle(made), batch_size=BATCH, shuffle=True, num_workers=workers, **options), made.samples
    )


def training(made: Ritz, samples: Samples, batch: int, steps: int) -> tuple[float, float]:
    """Train the recipe's network on a stream; return the seconds of all steps and those it waited for batches.

    The pool's first filling is outside of the clock: it is once an epoch, and told beside it.
    """
    chosen = Selection(Store(made.path), "made@head")
    online = Online(batch_size=batch, coarse=0)
    loop = new_loop(samples.template(1), samples.shard(0), FNO(), online, steps + 2)
    batches = forever(ShardStream(chosen, batch_size=batch))
    for _ in range(2):
        _step(loop, next(batches))
    waited, start = 0.0, time.perf_counter()
    for _ in range(steps):
        before = time.perf_counter()
        one = next(batches)
        waited += time.perf_counter() - before
        _step(loop, one)
    total = time.perf_counter() - start
    batches.close()
    return total, waited


def new_loop(template: xr.Dataset, first: Arrays, surrogate: Surrogate, online: Online, steps: int) -> Loop:
    """Return a loop of so many steps, normalised by the samples given."""

    def refill(ids: np.ndarray) -> Block:
        raise AssertionError(ids)

    normalisation, symmetry = Normalisation.fit(template, first), template.attrs["symmetries"]
    return online.loop(surrogate, normalisation, symmetry, steps, refill=refill, around=Surroundings())


def forever(batches: ShardStream) -> Any:
    """Go through the samples again and again, in another order each time."""

    def go() -> Iterator[dict[str, torch.Tensor]]:
        epoch = 0
        while True:
            batches.set_epoch(epoch)
            yield from batches
            epoch += 1

    return go()


def _step(loop: Loop, batch: dict[str, torch.Tensor]) -> None:
    arrays = {name: values.numpy() for name, values in batch.items()}
    loop.learn(np.asarray(arrays.pop("sample_id")), arrays)
