"""Memory of every process of a run, and what its driver does a shard, against the number of samples."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from pathlib import Path

from benchmarks.streams.cores import peak

SHARD, POINTS = 20, 32
ROOT = Path(__file__).parents[2]


def row(samples: int) -> dict[str, float]:
    """Run so many samples through a pipeline of its own process."""
    command = [sys.executable, "-m", "benchmarks.streams.growth", str(samples)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)} ended with {done.returncode}: {done.stderr}")
    return json.loads(done.stdout.splitlines()[-1])


def measure(samples: int) -> dict[str, float]:
    """Generate and train in this process's cluster: peaks in MB, times a shard in ms.

    The network and the buffer are small, so that whatever grows with the samples shows.
    """
    from ritz.flows.settings import QUIET, prepare_prefect

    prepare_prefect(QUIET)
    from benchmarks.streams.pipeline import online
    from ritz.compute.cluster.local import Local
    from ritz.tasks.pipeline import Pipeline

    pipeline = Pipeline.model_validate(recipe(samples))
    with tempfile.TemporaryDirectory(prefix="ritz-growth-") as folder, Local().open() as cluster:
        trained = online(cluster, pipeline, f"{folder}/store")
        peaks = cluster.client.run(peak)
        known = cluster.client.scheduler_info(n_workers=-1)["workers"]
        of = {role: [peaks[a] for a, w in known.items() if w["resources"].get(role)] for role in ("solve", "train")}
    return {
        "samples": samples,
        "driver": peak(),
        "trainer": max(of["train"]),
        "solver": max(of["solve"]),
        "shards": samples // SHARD,
        "shards a second": trained.driven.rate,
        "shards a commit": trained.driven.shards,
        "cpu": 1e3 * trained.driven.cpu,
        "commit": 1e3 * trained.driven.commit,
        "per shard": 1e3 * trained.driven.per_shard,
        "idle": 100 * trained.waited / trained.seconds,
    }


def recipe(samples: int) -> dict:
    """What is run; samples of 8 KiB, so that ten thousand of them would not go unnoticed."""
    return {
        "name": "growth",
        "problem": {"kind": "darcy", "shape": [POINTS, POINTS]},
        "data": {"samples": samples, "shard": SHARD},
        "solver": {"kind": "multigrid"},
        "surrogate": {"kind": "fully_connected", "width": 64, "layers": 2},
        "training": {
            "kind": "online",
            "batches_per_sample": 0.5,
            "buffer": {"kind": "reservoir", "capacity": 48},
            "watermark": 16,
            "validation": 16,
        },
        "uncertainty": {"kind": "conformal", "levels": [0.5]},
    }


if __name__ == "__main__":
    print(json.dumps(measure(int(sys.argv[1]))))
