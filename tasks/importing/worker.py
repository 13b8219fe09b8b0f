"""What a Dask worker does of an import: looks at files, and turns some samples of them into a shard."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from ritz.compute.problems.problem import Arrays
from ritz.storage.datasets import Dataset
from ritz.storage.errors import Refused
from ritz.storage.importing.fingerprint import Stamp, fingerprint, stamp
from ritz.storage.ledger import IMPORTED
from ritz.storage.shards import Fork, write_shard
from ritz.storage.store import Store
from ritz.tasks.generation.worker import Receipt
from ritz.tasks.importing.reading import opened, rows, samples_in
from ritz.tasks.importing.resolving import Reading

BLOCK = 2**26
"""Bytes of files that are read together, as they are stored; 64 MiB."""


@dataclass(frozen=True, repr=False)
class Look:
    """Items to look at: the paths of the files of each."""

    start: int
    items: tuple[tuple[str, ...], ...]
    readings: tuple[Reading, ...]

    def __repr__(self) -> str:
        return f"files from {self.items[0][0]!r}"


@dataclass(frozen=True)
class Seen:
    """An item: the digests and stamps of its files, and the samples that it has."""

    digests: tuple[str, ...]
    stamps: tuple[Stamp, ...]
    samples: int


@dataclass(frozen=True)
class Looked:
    """What was seen of some items."""

    receipt: tuple[Seen, ...]


def look(work: Look) -> Looked:
    """Read every byte of some files once for their digests, and count their samples.

    Raises
    ------
    ritz.storage.errors.StorageError
        If a file cannot be read, or is not as the first one.
    """
    found = []
    for paths in work.items:
        with ExitStack() as stack:
            samples = samples_in(work.readings, opened(stack, paths))
        places = [Path(path) for path in paths]
        stamps = tuple(stamp(place) for place in places)
        found.append(Seen(tuple(fingerprint(place) for place in places), stamps, samples))
    return Looked(tuple(found))


@dataclass(frozen=True)
class Piece:
    """Some samples of an item: its files as they were seen, and which samples."""

    paths: tuple[str, ...]
    stamps: tuple[Stamp, ...]
    start: int
    stop: int


@dataclass(frozen=True, repr=False)
class ImportedShard:
    """A shard to be made of files.

    Attributes
    ----------
    pieces
        Where its samples lie, in their order.
    roles
        Of the variables, by name.
    """

    store: str
    dataset: str
    index: int
    length: int
    pieces: tuple[Piece, ...]
    readings: tuple[Reading, ...]
    roles: Mapping[str, str]
    dtype: str
    fork: Fork

    def __repr__(self) -> str:
        return f"shard {self.index} of dataset {self.dataset!r}, from {self.pieces[0].paths[0]!r}"


@dataclass(frozen=True)
class Written:
    """A shard that was written."""

    receipt: Receipt = field(repr=False)


def write(shard: ImportedShard) -> Written:
    """Read the samples of a shard, a block at a time, and write it in the fork; one that is committed is left alone.

    A sample with a value that is not finite, as it is stored, has failed: its outputs are NaN throughout.

    Raises
    ------
    ritz.storage.errors.Refused
        If a file has changed since it was looked at.
    """
    if Dataset.open(Store(shard.store), shard.dataset).read_shard(shard.index) is not None:
        return Written(Receipt(shard.index, None, _ledger(np.ones(shard.length, bool)), 0.0))
    fields: Arrays = {}
    at = 0
    for piece in shard.pieces:
        at += _read(shard, piece, fields, at)
    good = np.ones(shard.length, bool)
    for values in fields.values():
        good &= np.isfinite(values.reshape(shard.length, -1)).all(axis=1)
    for name, values in fields.items():
        if shard.roles[name] == "output":
            values[~good] = np.nan
    ledger = _ledger(good)
    return Written(Receipt(shard.index, write_shard(shard.fork, shard.index, fields, ledger), ledger, 0.0))


def _read(shard: ImportedShard, piece: Piece, fields: Arrays, at: int) -> int:
    """Read the samples of a piece to their places in the fields, which are made with the first; return how many."""
    for path, before in zip(piece.paths, piece.stamps, strict=True):
        if stamp(Path(path)) != before:
            raise Refused(f"{path} has changed while it was imported; import it again")
    with ExitStack() as stack:
        files = opened(stack, piece.paths)
        start, step = piece.start, 1
        while start < piece.stop:
            stop = min(start + step, piece.stop)
            part = rows(shard.readings, files, start, stop)
            for name, values in part.items():
                if name not in fields:
                    fields[name] = np.empty((shard.length, *values.shape[1:]), shard.dtype)
                place = slice(at + start - piece.start, at + stop - piece.start)
                with np.errstate(over="ignore", invalid="ignore"):
                    fields[name][place] = values
            start = stop
            # The first sample tells how large they are.
            step = max(1, BLOCK // max(1, sum(values.nbytes // len(values) for values in part.values())))
    return piece.stop - piece.start


def _ledger(good: np.ndarray) -> dict[str, np.ndarray]:
    nothing = np.zeros(len(good))
    return {
        "status": np.where(good, "ok", "failed"),
        "reason": np.where(good, "", "not_finite"),
        "residual": np.full(len(good), np.nan),
        "iterations": nothing.astype(int),
        "matvecs": nothing.astype(int),
        "seconds": nothing,
        "solver": np.full(len(good), IMPORTED),
    }
