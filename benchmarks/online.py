"""Online training beside training on files, on the store and from memory; what the driver costs; memory.

    python -m benchmarks.online > benchmarks/online.txt              # everything, about 22 minutes
    python -m benchmarks.online --part rate --case small             # some parts

Everything is done by turns in one run.
"""

from __future__ import annotations

import argparse
import os
import shutil
import sys
import tempfile
import textwrap
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.stores.timing import Timed, interleaved
from benchmarks.streams import growth
from benchmarks.streams.cores import pin, pinned
from benchmarks.table import align, machine
from benchmarks.threads import one_thread
from ritz.flows.settings import QUIET, prepare_prefect

COUNTS = (100, 1_000, 10_000)

EXPLANATION = """
The trainer, one process, has core {trainer} to itself; one solver, and the driver with Dask's scheduler in it, share
core {solver}: every thread of a process is kept there (sched_setaffinity). One thread a process for numerics. Each
way does the same number of gradient steps of the same network on batches of 8 Darcy samples, at full resolution, in
that trainer's process; batches/s: steps over their seconds, start, first samples and the first steps not counted. N:
turns. Medians; ↕: slowest over fastest. ×: batches a second over those of "in memory, solvers at work". online: the
pipeline that `ritz run` runs, that is solving on the other core, commits, channel, reservoir, checkpoints; from its
first step to its last. in memory, solvers at work: batches drawn from arrays while the other core solves, commits and
sends shards as often as online, which nobody fetches. one file a sample: numpy files of a and u, a batch of them read
a step; cold: dropped from the page cache before (posix_fadvise), outside of the clock; the device below has a cache
of its own. the store: ShardStream, 2 threads. The last three have the other core idle.
"""


@dataclass(frozen=True)
class Case:
    """A problem and a network of one speed."""

    about: str
    points: int
    samples: int
    surrogate: dict[str, Any]
    batches_per_sample: float

    def recipe(self) -> dict[str, Any]:
        return {
            "name": "online",
            "problem": {"kind": "darcy", "shape": [self.points, self.points]},
            "data": {"samples": self.samples, "shard": 8},
            "solver": {"kind": "multigrid"},
            "surrogate": self.surrogate,
            "training": {
                "kind": "online",
                "batches_per_sample": self.batches_per_sample,
                "buffer": {"kind": "reservoir", "capacity": 64},
                "watermark": 24,
                "coarse": 0,
                "validation": 0,
            },
            "uncertainty": {"kind": "conformal", "levels": [0.5]},
        }


CASES = {
    "recipe": Case(
        "the network of the recipe darcy: FNO, modes 16, width 32, 4 layers, 64²",
        64, 160, {"kind": "fno", "modes": 16, "width": 32, "layers": 4}, 0.6,
    ),
    "small": Case(
        "a small network: FNO, modes 8, width 16, 2 layers, 32²",
        32, 320, {"kind": "fno", "modes": 8, "width": 16, "layers": 2}, 2.5,
    ),
    "fast": Case(
        "a fast network: fully connected, 2 layers of 128, 32²",
        32, 320, {"kind": "fully_connected", "width": 128, "layers": 2}, 10.0,
    ),
}  # fmt: skip


@dataclass
class Bench:
    """What the parts share."""

    folder: Path
    trainer: int
    solver: int
    repetitions: int
    cases: list[str]
    goals: list[list[str]] = field(default_factory=list)

    def goal(self, what: str, reached: float, limit: float, at_least: bool = False) -> None:
        met = reached >= limit if at_least else reached <= limit
        sign = "≥" if at_least else "≤"
        self.goals.append([what, f"{sign} {limit:g}", f"{reached:.3g}", "met" if met else "NOT MET"])


def rate(bench: Bench) -> Iterator[str]:
    """Compare the ways, case by case, on one cluster whose processes are pinned."""
    from ritz.compute.cluster.local import Local
    from ritz.compute.cluster.profile import Role

    with Local(solve=Role(count=1)).open() as cluster:
        known = cluster.client.scheduler_info(n_workers=-1)["workers"].items()
        for role, core in (("train", bench.trainer), ("solve", bench.solver)):
            addresses = [address for address, worker in known if worker["resources"].get(role)]
            cluster.client.run(pin, core, workers=addresses)
            assert set().union(*cluster.client.run(pinned, workers=addresses).values()) == {core}
        pin(bench.solver)
        for name in bench.cases:
            sys.stderr.write(f"{name}\n")
            yield from _case(bench, cluster, CASES[name])
            yield ""


def _case(bench: Bench, cluster: Any, case: Case) -> Iterator[str]:
    from benchmarks.streams import offline
    from benchmarks.streams.pipeline import Trained, load, online
    from ritz.tasks.pipeline import Pipeline

    pipeline, runs, stores = Pipeline.model_validate(case.recipe()), list[Trained](), list[Path]()

    def place() -> str:
        stores.append(Path(tempfile.mkdtemp(dir=bench.folder)) / "store")
        return str(stores[-1])

    def streamed() -> float:
        runs.append(online(cluster, pipeline, place()))
        # Its clock starts when the first step is done.
        return runs[-1].seconds / (runs[-1].steps - 1) * runs[-1].steps

    # The first one of all compiles, and is what the others learn from.
    streamed()
    parts = (pipeline.problem, pipeline.surrogate, pipeline.training, runs[-1].steps)
    job = offline.Offline(str(stores[0]), pipeline.name, *parts)
    samples = offline.export(job)

    def here(way: Callable[..., float], *arguments: object) -> Callable[[], float]:
        return lambda: cluster.call("train", way, job, *arguments)

    def beside_solvers() -> float:
        shards = pipeline.data.samples // pipeline.data.shard
        with load(cluster, pipeline, place(), np.median([run.seconds for run in runs]) / shards):
            # Until the trainer has enough to start, the solvers of a run work without pause.
            time.sleep(1)
            return cluster.call("train", offline.memory, job)

    reference = "in memory, solvers at work"
    ways = {
        "online": streamed,
        reference: beside_solvers,
        "in memory": here(offline.memory),
        "the store": here(offline.stored),
        "one file a sample, warm": here(offline.files, False),
        "one file a sample, cold": here(offline.files, True),
    }
    timed = interleaved(ways, bench.repetitions)
    for store in stores:
        shutil.rmtree(store.parent, ignore_errors=True)
    counted = runs[2:]
    yield (
        f"{case.about}; {case.samples} samples in shards of 8, {samples} of them to train on, "
        f"{counted[0].steps} steps a turn"
    )
    yield from _rates(timed, counted[0].steps, reference)
    idle = [100 * run.waited / run.seconds for run in counted]
    driven = [run.driven for run in counted]
    yield (
        f"online: trainer idle {np.median(idle):.2f} % (at most {max(idle):.2f}); the driver's process computes "
        f"{1e3 * np.median([one.cpu for one in driven]):.1f} ms a shard, a commit takes "
        f"{1e3 * np.median([one.commit for one in driven]):.1f} ms"
    )
    name = case.about.split(":")[0]
    ratio = timed[reference].median / timed["online"].median
    bench.goal(f"{name}: online, batches/s over those in memory with the solvers at work", ratio, 0.9, True)
    bench.goal(f"{name}: trainer idle, %", float(np.median(idle)), 5)


def _rates(timed: dict[str, Timed], steps: int, reference: str) -> list[str]:
    lines = [
        [
            name,
            str(len(row.seconds)),
            f"{steps / row.median:.2f}",
            f"{timed[reference].median / row.median:.2f}",
            row.spread,
        ]
        for name, row in timed.items()
    ]
    return align(["", "N", "batches/s", "×", "↕"], lines, left=(0,))


def grown(bench: Bench) -> Iterator[str]:
    """Run pipelines of growing size, each in processes of its own."""
    yield (
        f"Darcy {growth.POINTS}² in shards of {growth.SHARD}, two solvers and a trainer on both cores, nothing pinned: "
        "largest resident size of each"
    )
    yield "process; what its driver's process computes a shard, in all its threads; a commit (median, with waits); and"
    yield "what is computed and waited for in commits, a shard. One run a row, each in processes of its own."
    rows = []
    for samples in COUNTS:
        sys.stderr.write(f"{samples}\n")
        rows.append(growth.row(samples))
    lines = [
        [f"{row['samples']:.0f}", *(f"{row[name]:.0f}" for name in ("driver", "trainer", "solver")),
         *(f"{row[name]:.1f}" for name in ("shards a second", "shards a commit", "cpu", "commit", "per shard"))]
        for row in rows
    ]  # fmt: skip
    columns = ["samples", *(f"{name} MB" for name in ("driver", "trainer", "solver")), "shards/s", "shards a commit"]
    columns += [f"{name} ms" for name in ("computed", "commit", "together")]
    yield from align(columns, lines, left=())
    bench.goal("driver and scheduler, commit included: ms a shard", rows[-1]["per shard"], 10)
    for name in ("driver", "trainer", "solver"):
        what = f"peak memory of the {name}, {COUNTS[-1]} samples over {COUNTS[0]}"
        bench.goal(what, rows[-1][name] / rows[0][name], 1.1)


PARTS = {"rate": rate, "growth": grown}


def main() -> None:
    """Print the tables of the parts asked for."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.online", description=__doc__)
    parser.add_argument("--part", action="append", choices=PARTS, help="only this part; repeatable")
    parser.add_argument("--case", action="append", choices=CASES, help="only this case of the part rate; repeatable")
    parser.add_argument("--runs", type=int, default=5, help="turns of each way")
    parser.add_argument("--folder", type=Path, help="where to write; a temporary folder by default")
    chosen = parser.parse_args()
    one_thread()
    prepare_prefect(QUIET)
    cores = sorted(os.sched_getaffinity(0))
    if len(cores) < 2:
        parser.error(f"this process may use {len(cores)} core; expected two, one for the trainer and one for the rest")
    own = " ".join(
        f"{name} {version(name)}" for name in ("torch", "neuraloperator", "dask", "icechunk", "zarr", "numpy")
    )
    print(f"python -m benchmarks.online {' '.join(sys.argv[1:])}".rstrip(), f" # python {sys.version.split()[0]} {own}")
    print(f"Machine: {machine()}.")
    print(*textwrap.wrap(EXPLANATION.format(trainer=cores[0], solver=cores[1]).strip(), 118), sep="\n")
    with tempfile.TemporaryDirectory(prefix="ritz-online-", dir=chosen.folder) as folder:
        bench = Bench(Path(folder), cores[0], cores[1], chosen.runs, chosen.case or list(CASES))
        # What is pinned stays so: the parts that use both cores come first.
        for part in [name for name in reversed(PARTS) if name in (chosen.part or PARTS)]:
            sys.stderr.write(f"{part}\n")
            print("", *PARTS[part](bench), sep="\n", flush=True)
    print("Goals", *align(["goal", "limit", "reached", ""], bench.goals, left=(0, 3)), sep="\n")


if __name__ == "__main__":
    main()
