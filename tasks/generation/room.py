"""Whether there is room for a recipe: what it takes of memory and disk, estimated before anything is started."""

from __future__ import annotations

import logging
import math
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from ritz.storage.committer import Committer
from ritz.storage.errors import Refused
from ritz.storage.store import Store
from ritz.tasks.pipeline import Pipeline

log = logging.getLogger("ritz")

SOLVER = 250_000_000
"""Bytes of a worker that has solved one small sample; measured: 255 MB."""

SOLVING = 7.5
"""Bytes that a stored byte of a shard takes while the shard is solved; measured: 7 to 8."""

TRAINER = 500_000_000
"""Bytes of a worker that has trained a small network; measured: 480 to 560 MB."""

INDEX = 300
"""Bytes that the driver needs for a sample: its id, split and features, and what orders them."""

SLACK = 2.0
"""Factor by which an estimate may be wrong: a recipe that needs more is refused, nearer the edge it is warned of."""


_UNITS = ("B", "kB", "MB", "GB", "TB", "PB", "EB")


@dataclass(frozen=True)
class Need:
    """Something that a recipe needs, and what there is of it, in bytes."""

    what: str
    bytes: float
    there: int
    where: str
    remedy: str

    def __str__(self) -> str:
        return f"{self.what} takes about {size(self.bytes)}, and {self.where} {size(self.there)}; {self.remedy}"


def size(count: float) -> str:
    """Return a number of bytes to two digits, as ``'1.3 GB'``."""
    unit = min(int(math.log10(max(count, 1)) // 3), len(_UNITS) - 1)
    return f"{count / 1000**unit:.{0 if count >= 100 * 1000**unit else 1}f} {_UNITS[unit]}"


def check_room(pipeline: Pipeline, store_url: str, limits: Mapping[str, int], *, trains: bool) -> None:
    """Refuse a recipe for which memory or disk cannot suffice; warn where they may not.

    Parameters
    ----------
    limits
        Bytes of memory, as `ritz.compute.cluster.profile.Profile.limits` returns them.
    trains
        Whether the samples are learnt from as they are solved.

    Raises
    ------
    ritz.storage.errors.Refused
        If something takes more than `SLACK` times what there is; the message has all numbers.
    """
    short = [need for need in _needs(pipeline, Store(store_url), limits, trains) if need.bytes > need.there]
    if any(need.bytes > SLACK * need.there for need in short):
        raise Refused(". ".join(map(str, short)))
    for need in short:
        log.warning("%s", need)


def sample_bytes(pipeline: Pipeline) -> int:
    """Return what a sample of a recipe takes as it is stored, before compression."""
    return sum(field.nbytes for field in pipeline.problem.template(1).data_vars.values())


def _needs(pipeline: Pipeline, store: Store, limits: Mapping[str, int], trains: bool) -> Iterator[Need]:
    data, sample = pipeline.data, sample_bytes(pipeline)
    dataset = Committer.find(store, pipeline.name, identity=pipeline.dataset_identity)
    new = data.samples - (0 if dataset is None else len(dataset.committed()) * data.shard)
    free, each = free_bytes(store), size(sample)
    if free is not None:
        remedy = "lower data.samples or the size of the grid, or take another --store"
        yield Need(f"data.samples: to keep {new} new samples of {each}", new * sample, free, f"{store.url} has", remedy)
    if "driver" in limits:
        there = limits["driver"]
        yield Need(
            f"data.samples: to order {data.samples} samples",
            data.samples * INDEX,
            there,
            "this machine has",
            "lower it",
        )
    if "solve" in limits:
        there = limits["solve"]
        yield Need(
            f"data.shard: to solve {data.shard} samples of {each}",
            SOLVER + SOLVING * data.shard * sample,
            there,
            "a solve worker has",
            "lower data.shard or the size of the grid, or raise profile.solve.memory",
        )
    held = pipeline.training.held(data.splits.count(data.samples)) if trains else 0
    if held and "train" in limits:
        there = limits["train"]
        yield Need(
            f"training.buffer.capacity: to hold {held} samples of {each}",
            TRAINER + held * sample,
            there,
            "a train worker has",
            "lower it, training.validation or the size of the grid, or raise profile.train.memory",
        )


def free_bytes(store: Store) -> int | None:
    """Return the free bytes of the disk of a store; None for a bucket, which has no such limit."""
    if "://" in store.url:
        return None
    place = Path(store.url)
    while not place.exists():
        place = place.parent
    return shutil.disk_usage(place).free
