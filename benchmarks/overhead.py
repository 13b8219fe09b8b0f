"""What a generation costs beside its solves: start, workers, driver, and up to how many workers the driver keeps up.

    python -m benchmarks.overhead > benchmarks/overhead.txt              # everything, about 8 minutes on two cores
    python -m benchmarks.overhead --part tiny                            # one part; --figure FILE draws the simulation

The cold start drops this environment's files and the home of Prefect from the page cache, as far as it may.
"""

from __future__ import annotations

import argparse
import contextlib
import heapq
import os
import shutil
import subprocess
import sys
import tempfile
import textwrap
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import psutil

from benchmarks.table import align, provenance
from benchmarks.threads import one_thread
from ritz.compute.cluster.local import Local
from ritz.compute.cluster.profile import Role
from ritz.compute.cluster.stream import WINDOWS
from ritz.compute.problems.darcy import Darcy
from ritz.flows.settings import QUIET, prepare_prefect
from ritz.tasks.documents.solving import FULL, Solving
from ritz.tasks.generation.generate import COMMIT_EVERY, generate
from ritz.tasks.pipeline import Data, Pipeline

PARTS = ("start", "tiny", "busy", "workers")

EXPLANATION = """
start: seconds from the command `ritz generate darcy` to the line that counts the first stored samples; warm: after
another such run; cold: with the files of the environment dropped from the page cache and an empty home. tiny: shards of
10 Darcy samples of 16²; ms per shard of processor time: of the workers in all, of their solves (the ledger), of what is
left, and of the driver with Dask's scheduler. busy: shards of at least 5 s of work; tasks: share of the workers' wall
time in tasks; solving: in solves. workers: shards that take as long as they say whatever else runs; simulated: a
discrete-event simulation of the driver's loop with the driver's cost per shard as it was measured with two workers;
measured: that many real worker processes on these cores.
"""


class Sleeping(Darcy):
    """Darcy samples whose solves take a while, in which the core is free: more workers than cores can be looked at."""

    kind: Literal["sleeping"] = "sleeping"  # type: ignore[assignment]  # a kind of its own
    seconds: float = 0.2

    def simulate(self, inputs: Any, solve: Any) -> Any:
        """Solve, and sleep."""
        found = super().simulate(inputs, solve)
        time.sleep(self.seconds)
        return found


@dataclass(frozen=True)
class Measured:
    """How a generation went: how its workers were used, their processor seconds, seconds of solves."""

    used: Solving
    workers_cpu: float
    solving: float


def measure(problem: Darcy, samples: int, shard: int, workers: int, solver: str = "direct") -> Measured:
    """Generate a dataset on a cluster of so many solve workers."""
    pipeline = Pipeline.model_validate(
        {
            "name": "overhead",
            "problem": {"kind": "darcy", "shape": problem.shape},
            "data": Data(samples=samples, shard=shard),
            "solver": solver,
        }
    ).model_copy(update={"problem": problem})
    folder = tempfile.mkdtemp(prefix="ritz-overhead-")
    try:
        with Local(solve=Role(count=workers)).open(("solve",)) as cluster:
            # What every worker loads and compiles is not asked for here.
            warm = pipeline.model_copy(update={"name": "warm", "data": Data(samples=4 * workers * shard, shard=shard)})
            generate.fn(warm, folder, cluster)
            before = _cpu(cluster)
            made = generate.fn(pipeline, folder, cluster)
            after = _cpu(cluster)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    assert made.solving is not None
    return Measured(made.solving, after - before, made.ledger.seconds)


def _cpu(cluster: Any) -> float:
    """Return the processor seconds of all workers."""
    return float(sum(cluster.client.run(_own_cpu).values()))


def _own_cpu() -> float:
    times = psutil.Process().cpu_times()
    return float(times.user + times.system)


def start() -> list[str]:
    """Measure the time to the first stored samples."""
    head, rows = ["", "first samples, s"], []
    with tempfile.TemporaryDirectory(prefix="ritz-home-") as home:
        _first_samples(Path(home))
        warm = [_first_samples(Path(home)) for _ in range(3)]
    rows.append(["warm", f"{np.median(warm):.1f}"])
    cold = []
    for _ in range(2):
        with tempfile.TemporaryDirectory(prefix="ritz-home-") as home:
            _forget(Path(sys.prefix))
            cold.append(_first_samples(Path(home)))
    rows.append(["cold", f"{np.median(cold):.1f}"])
    return align(head, rows)


def _first_samples(home: Path) -> float:
    """Return the seconds to the first stored samples of a generation, which is then interrupted."""
    with tempfile.TemporaryDirectory(prefix="ritz-overhead-") as store:
        ritz = str(Path(sys.executable).with_name("ritz"))
        environment = {**os.environ, "HOME": str(home), "XDG_STATE_HOME": str(home), "PREFECT_HOME": str(home / "p")}
        begun = time.monotonic()
        with subprocess.Popen(
            [ritz, "generate", "darcy", "--store", store], stderr=subprocess.PIPE, text=True, env=environment
        ) as running:
            assert running.stderr is not None
            for line in running.stderr:
                words = line.split()
                if "solve:" in words and " of " in line and words[words.index("solve:") + 1] != "0":
                    break
            took = time.monotonic() - begun
            running.terminate()
            running.stderr.read()
    return took


def _forget(folder: Path) -> None:
    """Drop the files of a folder from the page cache."""
    for file in folder.rglob("*"):
        with contextlib.suppress(OSError):
            handle = os.open(file, os.O_RDONLY)
            os.posix_fadvise(handle, 0, 0, os.POSIX_FADV_DONTNEED)
            os.close(handle)


def tiny() -> list[str]:
    """Measure what a shard of tiny samples costs beside its solves."""
    head, rows = ["turn", "shards", "workers", "solves", "left", "driver"], []
    for turn in range(3):
        found = measure(Darcy(shape=(16, 16)), 4000, 10, 2)
        shards = found.used.shards
        workers, solves, driver = (1e3 * one / shards for one in (found.workers_cpu, found.solving, found.used.driver))
        rows.append([str(turn), str(shards), *(f"{one:.1f}" for one in (workers, solves, workers - solves, driver))])
    return align(head, rows)


def busy() -> list[str]:
    """Measure how busy workers are that have much to solve."""
    head = ["shard", "samples", "seconds", "s per shard", "tasks", "solving", "workers' ms per sample", "driver's"]
    rows = []
    for points, shard, samples in ((256, 64, 1280), (512, 16, 320)):
        found = measure(Darcy(shape=(points, points)), samples, shard, 2)
        used = found.used
        rows.append(
            [
                f"{shard} of {points}²",
                str(samples),
                f"{used.seconds:.0f}",
                f"{used.tasks / used.shards:.1f}",
                f"{used.busy:.2f}",
                f"{found.solving / (used.workers * used.seconds):.2f}",
                f"{1e3 * found.workers_cpu / samples:.1f}",
                f"{1e3 * used.driver / samples:.2f}",
            ]
        )
    return align(head, rows)


@dataclass(frozen=True)
class Costs:
    """Of one shard: seconds of its task, and of the driver for its receipt and its commit."""

    task: float
    driver: float


def simulate(workers: int, costs: Costs, shards: int, seed: int = 0) -> tuple[float, float]:
    """Return the share of the workers' time in tasks and of the driver's time at work, by discrete events.

    It follows `ritz.compute.cluster.stream.groups`: two tasks per worker in flight, groups of results at most every
    0.5 to 2 seconds, no task started while a group is worked on.
    """
    rng = np.random.default_rng(seed)
    window, pause = 2 * workers, COMMIT_EVERY[0]
    free, running, started = [0.0] * workers, [], 0
    heapq.heapify(free)

    def begin(count: int, now: float) -> None:
        nonlocal started
        for _ in range(min(count, shards - started)):
            at = max(now, heapq.heappop(free)) + costs.task * rng.lognormal(0, 0.1)
            heapq.heappush(free, at)
            heapq.heappush(running, at)
            started += 1

    now, due, enough, done, at_work = 0.0, float("-inf"), window, 0, 0.0
    begin(window, now)
    while running:
        now = max(now, heapq.heappop(running))
        group = 1
        while running and now < due and group < enough:
            if len(running) <= window // 2:
                begin(window - len(running), now)
            if running[0] > due:
                break
            now = max(now, heapq.heappop(running))
            group += 1
        while running and running[0] <= now:
            heapq.heappop(running)
            group += 1
        now = max(now, min(due, now if group >= enough or not running else due))
        full, due = group >= enough, now + pause
        now, at_work, done = now + group * costs.driver, at_work + group * costs.driver, done + group
        if now > due:
            enough = window
        elif full:
            enough = min(2 * enough, WINDOWS * window)
        begin(window - len(running), now)
    return done * costs.task / (workers * now), at_work / now


def workers(figure: Path | None) -> list[str]:
    """Simulate up to a thousand workers, and look at eight real ones."""
    two = measure(Sleeping(shape=(16, 16), seconds=0.2), 1000, 10, 2).used
    costs = Costs(two.tasks / two.shards, two.driver / two.shards)
    eight = measure(Sleeping(shape=(16, 16), seconds=0.2), 4000, 10, 8).used
    simulated, _ = simulate(8, Costs(costs.task, costs.driver), 400)
    lines = [
        f"driver: {1e3 * costs.driver:.1f} ms of processor time per shard with 2 workers, "
        f"{1e3 * eight.driver / eight.shards:.1f} with 8",
        f"8 workers, shards of {costs.task:.2f} s: busy {eight.busy:.2f} measured, {simulated:.2f} simulated "
        f"({100 * (simulated / eight.busy - 1):+.0f} %)",
        "",
    ]
    counts = (2, 8, 32, 100, 316, 1000)
    tasks = (0.2, 1.0, 5.0, 25.0)
    head = ["seconds per shard", *(f"{count} workers" for count in counts), "driver full at"]
    rows = []
    shares: dict[float, list[float]] = {}
    for task in tasks:
        found = [simulate(count, Costs(task, costs.driver), 30 * count) for count in counts]
        shares[task] = [busy for busy, _ in found]
        limit = FULL * task / costs.driver
        rows.append(
            [f"{task:g}", *(f"{busy:.2f} ({100 * driver:.0f} %)" for busy, driver in found), f"{limit:.0f} workers"]
        )
    lines += align(head, rows)
    lines += [
        "",
        "Share of the workers' time in tasks, and of the driver's at work. Where it is full the driver is the ",
    ]
    lines[-1] += "bottleneck, and larger shards are the cure."
    if figure is not None:
        _draw(figure, counts, shares)
    return lines


def _draw(file: Path, counts: Sequence[int], shares: dict[float, list[float]]) -> None:
    """Draw the simulation."""
    from matplotlib.figure import Figure

    drawing = Figure(figsize=(6, 3.4), layout="constrained")
    axes = drawing.subplots()
    for task, found in shares.items():
        axes.semilogx(counts, found, marker="o", label=f"{task:g} s per shard")
    axes.set(xlabel="solve workers", ylabel="share of their time in tasks", ylim=(0, 1.05))
    axes.legend(frameon=False)
    axes.grid(alpha=0.3)
    drawing.savefig(file)


def chosen(parts: Sequence[str], figure: Path | None) -> Iterator[str]:
    """Measure some parts, and yield their lines."""
    for part in parts:
        yield ""
        yield part
        yield from {"start": start, "tiny": tiny, "busy": busy, "workers": lambda: workers(figure)}[part]()


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--part", action="append", choices=PARTS, help="only this part; repeatable")
    parser.add_argument("--figure", type=Path, help="where to draw the simulation")
    asked = parser.parse_args()
    one_thread()
    prepare_prefect(QUIET)
    parts = asked.part or PARTS
    print(
        "\n".join(provenance("python -m benchmarks.overhead" + "".join(f" --part {part}" for part in asked.part or ())))
    )
    print()
    print("\n".join(textwrap.wrap(EXPLANATION.strip(), 118)))
    for line in chosen(parts, asked.figure):
        print(line, flush=True)


if __name__ == "__main__":
    main()
