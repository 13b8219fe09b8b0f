"""Peak memory of the driver of a generation run, against the number of samples.

    python benchmarks/driver_memory.py

The goal is 300 MB + 200 B a sample. Each row is a process of its own; the samples are tiny, so that the driver's
books are what grows.
"""

from __future__ import annotations

import json
import resource
import subprocess
import sys
import tempfile
from importlib.metadata import version
from typing import Literal

import numpy as np
import xarray as xr

from ritz.compute.problems.problem import Problem
from ritz.compute.solvers.operators import Stencil
from ritz.compute.solvers.systems import Systems

POINTS = 8
COUNTS = (1_000, 10_000, 100_000)


class Tiny(Problem):
    """A diagonal system of eight unknowns with a random diagonal."""

    kind: Literal["tiny"] = "tiny"

    def template(self, n):
        nothing = np.broadcast_to(np.float32(np.nan), (n, POINTS))
        about = {"transform": "identity", "units": "1", "long_name": "value"}
        fields = {
            name: (("sample", "x"), nothing, {**about, "role": role})
            for name, role in (("d", "input"), ("u", "output"))
        }
        return xr.Dataset(fields, coords={"x": np.arange(float(POINTS))}, attrs={"symmetries": "none"})

    def draw(self, seed, ids):
        rows = [np.random.Generator(np.random.Philox([seed, i])).uniform(1, 2, POINTS) for i in ids]
        return {"d": np.array(rows, np.float32)}

    def features(self, inputs):
        return inputs["d"][:, :1]

    def simulate(self, inputs, solve):
        stencil = np.zeros((len(inputs["d"]), 3, POINTS))
        stencil[:, 0] = inputs["d"]
        return {"u": solve(Systems(Stencil(stencil, symmetric=True), np.ones_like(stencil[:, 0])))}

    def equations(self, inputs, fields):
        return {"u": inputs["d"] * fields["u"] - 1}

    def scale(self, inputs):
        del inputs
        return POINTS**0.5

    def rounding(self, inputs, fields):
        return np.linalg.norm(inputs["d"].astype(float) * abs(fields["u"]), axis=1) / POINTS**0.5


def measure(samples: int) -> dict[str, float]:
    """Generate so many samples in this process and return its peak memory in bytes."""
    from ritz.flows.settings import QUIET, prepare_prefect

    prepare_prefect(QUIET)
    from ritz.compute.cluster.local import Local
    from ritz.tasks.generation.generate import generate
    from ritz.tasks.pipeline import Data, Pipeline

    pipeline = Pipeline(
        name="tiny", problem=Tiny(), data=Data(samples=samples, shard=min(1000, samples // 10)), solver="direct"
    )
    with tempfile.TemporaryDirectory() as store, Local().open() as cluster:
        generated = generate.fn(pipeline, store, cluster)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    return {"samples": generated.dataset.samples, "peak": peak, "seconds": generated.seconds}


def main() -> None:
    """Print the table."""
    versions = " ".join(f"{name} {version(name)}" for name in ("dask", "icechunk", "zarr", "xarray", "prefect"))
    print(f"python benchmarks/driver_memory.py  # python {sys.version.split()[0]} {versions}, one run a row")
    print("samples   peak MB   goal MB   of goal   seconds")
    for count in COUNTS:
        done = subprocess.run([sys.executable, __file__, str(count)], capture_output=True, text=True, check=True)
        row = json.loads(done.stdout.splitlines()[-1])
        goal = 300e6 + 200 * count
        peak, share = row["peak"] / 1e6, row["peak"] / goal
        print(f"{count:7d}   {peak:7.0f}   {goal / 1e6:7.0f}   {share:7.2f}   {row['seconds']:7.0f}")


if __name__ == "__main__":
    if len(sys.argv) > 1:
        print(json.dumps(measure(int(sys.argv[1]))))
    else:
        main()
