"""A small dataset, and processes that work on it (run as ``python -m tests.storage.fields``)."""

from __future__ import annotations

import pickle
import sys
import time
from pathlib import Path

import numpy as np
import xarray as xr

from storage.committer import Committer
from storage.shards import write_shard
from storage.store import Store

SHARD, SHARDS = 4, 5
N = SHARD * SHARDS
RTOL = 1e-8
SHAPE = (SHARD, 8, 8)


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
            assert dataset.commit(shard, write_shard(fork, shard, fields(shard), ledger(shard)), ledger(shard))


def main(command: str, url: str, *rest: str) -> None:
    if command == "hold":
        with Committer.open(Store(url), "made").lock():
            print("held", flush=True)
            time.sleep(60)
    elif command == "write":
        fork = pickle.loads(Path(url).read_bytes())
        shard = int(rest[0])
        Path(rest[1]).write_bytes(pickle.dumps(write_shard(fork, shard, fields(shard), ledger(shard))))


if __name__ == "__main__":
    main(*sys.argv[1:])
