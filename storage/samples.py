from __future__ import annotations

from typing import NamedTuple

import numpy as np
import zarr

from ritz.storage.chunks import FieldReader
from ritz.storage.ledger import COLUMNS, SPLITS, decode

Arrays = dict[str, np.ndarray]
"""Fields by name; the first axis of every array is the sample."""


class Samples(NamedTuple):
    """Samples read back: ``sample_id`` (n,) int64, ``split`` (n,) str, fields by name, ledger columns."""

    sample_id: np.ndarray
    split: np.ndarray
    arrays: Arrays
    ledger: Arrays


def read_stored_shard(group: zarr.Group, shard: int, length: int) -> Samples:
    """Read one shard, of so many samples, of a snapshot's group."""
    stored = dict(group.arrays())
    solvers = str(group.attrs["solvers"]).split()
    start, stop = shard * length, (shard + 1) * length
    columns = {name: np.asarray(stored[name][start:stop]) for name in COLUMNS}
    fields = FieldReader(stored)
    arrays, rows = fields.empty(length), np.arange(length)
    fields.read_shard(shard, rows, arrays, rows)
    return Samples(
        sample_id=np.asarray(stored["sample_id"][start:stop]),
        split=np.array(SPLITS)[np.asarray(stored["split"][start:stop])],
        arrays=arrays,
        ledger=decode(columns, tuple(solvers)),
    )


def take(samples: Samples, positions: np.ndarray) -> Samples:
    """Return the samples at ``positions``, in that order."""
    return Samples(
        samples.sample_id[positions],
        samples.split[positions],
        {name: values[positions] for name, values in samples.arrays.items()},
        {name: values[positions] for name, values in samples.ledger.items()},
    )


def join(parts: list[Samples]) -> Samples:
    """Return the samples of all parts, one after the other."""
    return Samples(
        np.concatenate([part.sample_id for part in parts]),
        np.concatenate([part.split for part in parts]),
        {name: np.concatenate([part.arrays[name] for part in parts]) for name in parts[0].arrays},
        {name: np.concatenate([part.ledger[name] for part in parts]) for name in parts[0].ledger},
    )
