"""A dataset of a million tiny samples: what it costs to write, and to list, show, open and resume.

    python -m benchmarks.million > benchmarks/million.txt        # about 10 minutes
    python -m benchmarks.million --samples 20000                 # a look

The goal is 5 s and 1 GB for everything but the writing. Every row is a process of its own, started as a user would,
its interpreter and its imports included; the memory is the largest of that process (not of the workers it starts). CPU
s is what the processor worked for it and what it started, whatever else the machine did. The samples are written by the
real generation: drawn, ordered, solved on two workers, committed; the driver is stopped before the last shard, so that
there is something to resume.
"""

from __future__ import annotations

import argparse
import json
import operator
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from itertools import islice
from pathlib import Path
from typing import Any, Literal

import numpy as np
import yaml

from ritz.compute.problems.balance import outflow
from ritz.compute.problems.box import grid
from ritz.compute.problems.problem import Problem
from ritz.compute.problems.sizes import size
from ritz.compute.solvers.operators import Stencil
from ritz.compute.solvers.systems import Systems

NAME, SHARD, CELLS = "million", 1000, 4
SECONDS, MEMORY = 5.0, 1e9
ROOT = Path(__file__).parents[1]


class Line(Problem):
    """−u″ = f on a line of four cells with zero walls; f is noise. One matrix for all."""

    kind: Literal["line"] = "line"

    def template(self, n):
        about = {"transform": "identity", "units": "1"}
        fields = {
            "f": about | {"role": "input", "long_name": "source"},
            "u": about | {"role": "output", "long_name": "potential"},
        }
        return grid.template(n, (CELLS,), fields, "flips")

    def draw(self, seed, ids):
        x = (np.asarray(ids, np.uint64)[:, None] * np.uint64(CELLS) + np.arange(CELLS, dtype=np.uint64)) + np.uint64(1)
        x = (x + np.uint64(seed << 40)) * np.uint64(0x9E3779B97F4A7C15)
        x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        return {"f": (1 + (x ^ (x >> np.uint64(31))) / 2.0**64).astype(np.float32)}

    def features(self, inputs):
        return inputs["f"]

    def simulate(self, inputs, solve):
        stencil = np.zeros((3, CELLS))
        stencil[0], stencil[1, 1:], stencil[2, :-1] = 2, -1, -1
        stencil[0, [0, -1]] = 3
        rhs = inputs["f"].astype(np.float64)
        operators = Stencil(np.broadcast_to(stencil, (len(rhs), 3, CELLS)), symmetric=True, definite=True)
        return {"u": solve(Systems(operators, rhs / CELLS**2))}

    def equations(self, inputs, fields):
        return {"u": outflow(1.0, fields["u"]) - inputs["f"]}

    def scale(self, inputs):
        return size(inputs["f"])

    def rounding(self, inputs, fields):
        total = outflow(1.0, np.abs(fields["u"].astype(float)), operator.add)
        return np.linalg.norm(total, axis=1) / np.linalg.norm(inputs["f"].astype(float), axis=1)


def recipe(samples: int) -> dict[str, Any]:
    """What is made; other choices than those of the samples are never used."""
    return {
        "name": NAME,
        "problem": {"kind": "line"},
        "data": {"samples": samples, "shard": SHARD},
        "solver": {"kind": "direct", "library": "superlu"},
        "surrogate": "fully_connected",
    }


def write(path: str, store: str) -> None:
    """Generate all shards but one in this process and print what it took."""
    from ritz.flows.settings import QUIET, prepare_prefect

    prepare_prefect(QUIET)
    from ritz.compute.cluster.local import Local
    from ritz.storage.committer import Committer
    from ritz.tasks.generation.generate import generate
    from ritz.tasks.recipes import load

    pipeline, commit = load(path), Committer.commit
    left, seconds, ends = pipeline.data.samples // pipeline.data.shard - 1, [], []

    def timed(self, shards):
        nonlocal left
        start = time.perf_counter()
        done = commit(self, dict(islice(shards.items(), left)))
        left -= len(done)
        seconds.append(time.perf_counter() - start)
        ends.extend([time.perf_counter()] * len(done))
        if not left:
            raise KeyboardInterrupt
        return done

    Committer.commit = timed
    begun = time.perf_counter()
    try:
        with Local().open() as cluster:
            opened = time.perf_counter()
            generate.fn(pipeline, store, cluster)
    except KeyboardInterrupt:
        pass
    tenth, some = max(1, len(ends) // 10), max(1, len(seconds) // 10)
    print(
        json.dumps(
            {
                "before the first shard": ends[0] - opened,
                "cluster": opened - begun,
                "a shard": (ends[-1] - ends[0]) / max(1, len(ends) - 1),
                "a shard, early": (ends[tenth] - ends[0]) / tenth,
                "a shard, late": (ends[-1] - ends[-1 - tenth]) / tenth,
                "a commit, early": float(np.median(seconds[1 : 1 + some])),
                "a commit, late": float(np.median(seconds[-some:])),
                "shards a commit": len(ends) / len(seconds),
            }
        )
    )


OPEN = f"""
import sys
from ritz.storage.reading import read
from ritz.storage.store import Store
data = read(Store(sys.argv[1]), "{NAME}")
print(data.sizes["sample"], data["u"][-1].values, (data["split"].values == "train").sum())
"""


def measured(command: Sequence[str], environment: dict[str, str]) -> tuple[float, float, float, str]:
    """Run a command.

    Returns its seconds, those of the processor (its children's too), the peak memory of its process in bytes, and what
    it printed.
    """
    start, peak, before = time.perf_counter(), 0, resource.getrusage(resource.RUSAGE_CHILDREN)
    with (
        tempfile.TemporaryFile("w+") as out,
        subprocess.Popen(command, stdout=out, stderr=subprocess.PIPE, env=environment, text=True, cwd=ROOT) as process,
    ):
        while process.poll() is None:
            try:
                status = Path(f"/proc/{process.pid}/status").read_text()
            except (FileNotFoundError, ProcessLookupError):
                continue
            # Gone when the process is, and that of this process until the command has taken its place.
            lines = dict(line.split(":", 1) for line in status.splitlines())
            if "VmHWM" in lines and time.perf_counter() - start > 0.2:
                peak = max(peak, int(lines["VmHWM"].split()[0]) * 1024)
            time.sleep(0.02)
        seconds = time.perf_counter() - start
        if process.returncode:
            sys.exit(f"{' '.join(command)}: {process.stderr.read()}")
        out.seek(0)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        busy = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
        return seconds, busy, peak, out.read()


def main(samples: int) -> None:
    """Print the table."""
    from benchmarks.table import align, provenance

    ritz = str(Path(sys.executable).with_name("ritz"))
    with tempfile.TemporaryDirectory() as place:
        environment = {**os.environ, "PYTHONPATH": f"{installed(place)}{os.pathsep}{ROOT}"}
        path, store = f"{place}/million.yaml", f"{place}/store"
        Path(path).write_text(yaml.safe_dump(recipe(samples)))
        told("writing")
        seconds, busy, peak, said = measured(
            [sys.executable, "-m", "benchmarks.million", "--write", path, store], environment
        )
        took = json.loads(said.splitlines()[-1])
        rate = f"{samples / seconds:.0f} samples/s"
        rows = [["write all but one shard", f"{seconds:.0f}", f"{busy:.0f}", f"{peak / 1e6:.0f}", rate]]
        generate = [ritz, "generate", path, "--store", store, "--json"]
        commands = {
            "ritz show, one shard to go": [ritz, "show", NAME, "--store", store],
            "ritz generate, one shard to go": generate,
            "ritz generate, nothing to do": generate,
            "ritz datasets": [ritz, "datasets", "--store", store],
            "ritz show": [ritz, "show", NAME, "--store", store],
            "ritz.storage.datasets.read": [sys.executable, "-c", OPEN, store],
        }
        for name, command in commands.items():
            told(" ".join(rows[-1]))
            seconds, busy, peak, said = measured(command, environment)
            note = "met" if seconds <= SECONDS and peak <= MEMORY else "NOT MET"
            if command is generate:
                # The rest is the interpreter, and where there is something to do the server and the workers.
                note += f", {json.loads(said)['seconds']:.1f} s of it the stage"
            rows.append([name, f"{seconds:.1f}", f"{busy:.1f}", f"{peak / 1e6:.0f}", note])
        told(" ".join(rows[-1]))
        size = sum(file.stat().st_size for file in Path(store).rglob("*") if file.is_file())
    print("\n".join(provenance(f"python -m benchmarks.million --samples {samples}")))
    print(f"\n{samples} samples of {CELLS} cells, shards of {SHARD}: {size / 1e6:.0f} MB in the store.\n")
    print("\n".join(align(["", "s", "CPU s", "peak MB", ""], rows)))
    together = took.pop("shards a commit")
    print(f"\nWriting, ms; {together:.1f} shards a commit")
    print("\n".join(align(["", "ms", ""], [[name, f"{1e3 * value:.1f}", ""] for name, value in took.items()])))
    print(f"\nGoal of the driver that writes: {300 + 200e-6 * samples:.0f} MB (300 MB + 200 B a sample).")


def installed(place: str) -> str:
    """Install the problem as another package would, for the commands; return the folder to look in."""
    about = Path(place) / "installed" / "line-1.0.dist-info"
    about.mkdir(parents=True)
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: line\nVersion: 1.0\n")
    (about / "entry_points.txt").write_text("[ritz.problems]\nline = benchmarks.million:Line\n")
    return str(about.parent)


def told(what: str) -> None:
    sys.stderr.write(f"{what}\n")


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--samples", type=int, default=10**6)
    parser.add_argument("--write", nargs=2)
    given = parser.parse_args()
    if given.write:
        write(*given.write)
    else:
        from benchmarks.threads import one_thread

        one_thread()
        main(given.samples)
