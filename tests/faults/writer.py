"""Processes that make datasets and can be killed many times a second (run as ``python -m tests.faults.writer``).

For every line ``STORE NAME SEED`` on stdin the process forks a child that does all a driver does with a dataset, from
creation to publishing, and says on stdout which process that is and, later, how it ended. The parent has
everything imported and no thread of the engine running, so that a child begins within a millisecond.
"""

from __future__ import annotations

import os
import random
import sys
from pathlib import Path

import numpy as np
import xarray as xr

from ritz.storage.committer import Committer
from ritz.storage.shards import write_shard
from ritz.storage.store import Store
from tests.storage.fields import SHARD, definition, ledger

SHARDS, POINTS = 24, 256


def fields(shard: int) -> dict[str, np.ndarray]:
    """Noise that does not compress: every field is a file of its own, beside the references."""
    random_numbers = np.random.default_rng(shard)
    return {name: random_numbers.standard_normal((SHARD, POINTS), np.float32) for name in ("a", "u")}


def describe(shards: int = SHARDS) -> dict:
    """What `Committer.ensure` takes beside store and name."""
    nothing = np.broadcast_to(np.float32(np.nan), (shards * SHARD, POINTS))
    roles = {"a": "input", "u": "output"}
    return definition(
        shards * SHARD,
        template=xr.Dataset({name: (("sample", "x"), nothing, {"role": role}) for name, role in roles.items()}),
    )


def write(dataset: Committer, shards: list[int], told: Path) -> None:
    """Write and commit shards, and tell of each that is committed. The caller holds the lock."""
    fork = dataset.fork()
    for shard in shards:
        dataset.commit({shard: (write_shard(fork, shard, fields(shard), ledger(shard)), ledger(shard))})
        with told.open("ab", buffering=0) as file:
            file.write(b"%d\n" % shard)


def make(url: str, name: str, seed: int) -> None:
    """Do what a driver does: create the dataset, write what it lacks, publish it."""
    dataset = Committer.ensure(Store(url), name, **describe())
    with dataset.lock():
        lacking = sorted(set(range(SHARDS)) - dataset.committed())
        random.Random(seed).shuffle(lacking)
        write(dataset, lacking, Path(url) / f"{name}.told")
        dataset.publish("all")


def main() -> None:
    for line in sys.stdin:
        url, name, seed = line.split()
        child = os.fork()
        if child == 0:
            make(url, name, int(seed))
            os._exit(0)
        print(child, flush=True)
        print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)


if __name__ == "__main__":
    main()
