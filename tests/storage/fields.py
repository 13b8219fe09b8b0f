"""A small dataset, and processes that work on it (run as ``python -m tests.storage.fields``)."""

from __future__ import annotations

import pickle
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import xarray as xr

from ritz.storage.backends import lease
from ritz.storage.chunks import ShardCodec
from ritz.storage.committer import Committer
from ritz.storage.datasets import Dataset
from ritz.storage.shards import write_shard
from ritz.storage.store import Store

SHARD, SHARDS = 4, 5
N = SHARD * SHARDS
RTOL = 1e-8
SHAPE = (SHARD, 8, 8)

in_both = pytest.mark.parametrize("store", ["folder", "bucket"], indirect=True)
"""Marks what is promised of a store in a folder and of one in a bucket."""


def template(n: int = N) -> xr.Dataset:
    empty = np.broadcast_to(np.float32(np.nan), (n, 8, 8))
    dims = ("sample", "y", "x")
    where = (np.arange(8) + 0.5) / 8
    return xr.Dataset(
        {
            "a": (dims, empty, {"role": "input", "transform": "log", "units": "m2", "long_name": "coefficient"}),
            "u": (dims, empty, {"role": "output", "transform": "identity", "units": "m", "long_name": "solution"}),
        },
        coords={"y": ("y", where, {"units": "m"}), "x": ("x", where, {"units": "m"})},
        attrs={"symmetries": "square"},
    )


def definition(n: int = N, **changes) -> dict:
    """What `Committer.ensure` takes beside store and name; ids are not the positions."""
    splits = np.array(["train", "train", "validate", "calibrate", "test"])
    return {
        "template": template(n),
        "identity": "one",
        "recipe": {"problem": {"kind": "made", "shape": [8, 8]}},
        "sample_id": 1000 + np.arange(n)[::-1],
        "split": splits[np.arange(n) % 5],
        "shard": SHARD,
        "solvers": ("direct", "recycled"),
        "attrs": {"rtol": RTOL},
    } | changes


def fields(shard: int) -> dict[str, np.ndarray]:
    """Values that say which shard they belong to, different in every point."""
    points = np.arange(np.prod(SHAPE), dtype=np.float32).reshape(SHAPE)
    return {"a": shard * 1000 + points, "u": -(shard * 1000 + points)}


def ledger(shard: int, **changes) -> dict:
    columns = {
        "status": ["ok"] * SHARD,
        "reason": [""] * SHARD,
        "residual": np.full(SHARD, 1e-10) * (shard + 1),
        "iterations": [shard] * SHARD,
        "matvecs": [shard + 1] * SHARD,
        "seconds": [0.5] * SHARD,
        "solver": ["direct", "recycled"] * (SHARD // 2),
    }
    return columns | changes


def with_failure(shard: int, sample: int) -> tuple[dict, dict]:
    """A shard whose sample at one position failed."""
    arrays, columns = fields(shard), ledger(shard)
    arrays["u"][sample] = np.nan
    columns["status"][sample] = "failed"
    columns["reason"][sample] = "not_converged"
    columns["residual"][sample] = 0.3
    return arrays, columns


def fill(dataset: Committer, *shards: int) -> None:
    with dataset.lock():
        fork = dataset.fork()
        for shard in shards:
            assert dataset.commit({shard: (write_shard(fork, shard, fields(shard), ledger(shard)), ledger(shard))})


def stored(dataset: Dataset, shard: int) -> np.ndarray:
    """The field u of a shard that is committed."""
    samples = dataset.read_shard(shard)
    assert samples is not None
    return samples.arrays["u"]


def fill_with_failures(dataset: Committer, failed: dict[int, int]) -> None:
    """Commit all shards; ``failed`` says which sample of a shard failed."""
    with dataset.lock():
        fork = dataset.fork()
        for shard in range(dataset.n_shards):
            arrays, columns = with_failure(shard, failed[shard]) if shard in failed else (fields(shard), ledger(shard))
            dataset.commit({shard: (write_shard(fork, shard, arrays, columns), columns)})


def noise(shard: int) -> dict[str, np.ndarray]:
    """Values that cannot be compressed, so that the engine keeps them in a file of their own."""
    rng = np.random.default_rng(shard)
    return {name: rng.standard_normal(SHAPE).astype(np.float32) for name in ("a", "u")}


def with_a_flipped_byte(dataset: Committer, shard: int) -> None:
    """Fill a dataset with noise, publish it, and damage the stored field ``u`` of one shard."""
    with dataset.lock():
        fork = dataset.fork()
        for index in range(dataset.n_shards):
            dataset.commit({index: (write_shard(fork, index, noise(index), ledger(index)), ledger(index))})
        dataset.publish("all")
    codec = ShardCodec.of(dataset.at("v1").group()["u"])  # type: ignore[arg-type]
    content = codec.encode(noise(shard)["u"])
    chunks = Path(dataset.store.location("datasets/made/chunks"))
    (file,) = (file for file in chunks.iterdir() if file.read_bytes() == content)
    file.write_bytes(content[:300] + bytes([content[300] ^ 1]) + content[301:])


def main(command: str, url: str, *rest: str) -> None:
    # So that nobody waits for long for the lock of a process that was killed.
    lease.LEASE = 1.0
    if command == "hold":
        with Committer.open(Store(url), "made").lock():
            print("held", flush=True)
            time.sleep(60)
    elif command == "write":
        fork = pickle.loads(Path(url).read_bytes())
        shard = int(rest[0])
        Path(rest[1]).write_bytes(pickle.dumps(write_shard(fork, shard, fields(shard), ledger(shard))))
    elif command == "fill":
        # Everything a driver does, from creation to publishing; it is killed somewhere in between.
        print("started", flush=True)
        shards = int(rest[0])
        dataset = Committer.ensure(Store(url), "made", **definition(shards * SHARD))
        with dataset.lock():
            fork = dataset.fork()
            for shard in sorted(set(range(shards)) - dataset.committed()):
                dataset.commit({shard: (write_shard(fork, shard, fields(shard), ledger(shard)), ledger(shard))})
                print(shard, flush=True)
            dataset.publish("all")


if __name__ == "__main__":
    main(*sys.argv[1:])
