"""What it costs a pipeline that all it sends through sockets is encrypted.

python -m benchmarks.encryption > benchmarks/encryption.txt              # about 15 minutes
python -m benchmarks.encryption --case small --pairs 3
"""

from __future__ import annotations

import argparse
import os
import random
import shutil
import sys
import tempfile
import textwrap
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np
import psutil

from benchmarks.online import CASES, Case
from benchmarks.table import align, provenance
from benchmarks.threads import one_thread
from ritz.flows.settings import QUIET, prepare_prefect

GOAL = 0.95
"""Batches a second with encryption over those without, at least."""

EXPLANATION = """
Two clusters of the profile local, one as it is, one without encryption, each with a solver and a trainer; the driver's
process is theirs in common. A pair is a run of the pipeline on each, one after the other in random order: solving,
commits, channel, checkpoints and as many gradient steps. batches/s: steps over their seconds, from the first step to
the last, median of the pairs. processor ms: what solver, trainer and driver compute from beginning to end of a run, in
time of the processor, over its steps. ×: with encryption over without, median of the pairs and, in brackets, an
interval of 90 % for it from the pairs drawn anew 10 000 times.
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--case", action="append", choices=CASES)
    parser.add_argument("--pairs", type=int, default=9)
    arguments = parser.parse_args()
    prepare_prefect()
    one_thread()

    os.environ.update(QUIET)
    print("\n".join(provenance("python -m benchmarks.encryption")))
    print(textwrap.fill(EXPLANATION.strip().replace("\n", " "), 118))
    print()
    for line in measured(arguments.case or list(CASES), arguments.pairs):
        print(line, flush=True)


def measured(cases: list[str], pairs: int) -> Iterator[str]:
    """Yield the lines of the table, case by case."""
    from ritz.compute.cluster.local import Local
    from ritz.compute.cluster.profile import Role

    class Plain(Local):
        """The profile local as it would be without encryption."""

        def _transport(self) -> tuple[str, Any]:
            from distributed import Security

            return "tcp", Security(require_encryption=False)

    with ExitStack() as stack:
        clusters = {
            name: stack.enter_context(kind(solve=Role(count=1)).open())
            for name, kind in (("encrypted", Local), ("plain", Plain))
        }
        for name in cases:
            yield from _case(clusters, CASES[name], pairs)
            yield ""


def _case(clusters: dict[str, Any], case: Case, pairs: int) -> Iterator[str]:
    rates: dict[str, list[float]] = {name: [] for name in clusters}
    works: dict[str, list[float]] = {name: [] for name in clusters}
    for pair in range(-1, pairs):
        for name in random.Random(pair).sample(sorted(clusters), 2):
            rate, work = _run(clusters[name], case)
            # The first pair compiles.
            if pair >= 0:
                rates[name].append(rate)
                works[name].append(work)
            sys.stderr.write(f"{name} {rate:.3g}/s {work:.3g} ms\n")
    rows = []
    for name in clusters:
        row = [name, str(pairs)]
        for values in (rates, works):
            row += [f"{np.median(values[name]):.4g}", *(_ratio(values) if name == "encrypted" else ("", ""))]
        rows.append(row)
    yield f"{case.about}; {case.samples} samples in shards of 8"
    yield from align(["", "N", "batches/s", "×", "", "processor ms", "×", ""], rows)
    ratio = float(_ratio(rates)[0])
    yield f"batches/s with encryption over without ≥ {GOAL:g}: {ratio:.3g}, {'met' if ratio >= GOAL else 'NOT MET'}"


def _ratio(values: dict[str, list[float]]) -> tuple[str, str]:
    """Return the median ratio of the pairs, and an interval for it."""
    ratios = np.array(values["encrypted"]) / np.array(values["plain"])
    drawn = np.random.default_rng(0).choice(ratios, (10_000, len(ratios)))
    low, high = np.quantile(np.median(drawn, axis=1), [0.05, 0.95])
    return f"{np.median(ratios):.3f}", f"[{low:.2f}, {high:.2f}]"


def _run(cluster: Any, case: Case) -> tuple[float, float]:
    """Run a pipeline once; return its batches a second, and what all processes compute a batch, in ms."""
    from benchmarks.streams.pipeline import online
    from ritz.tasks.pipeline import Pipeline

    folder = Path(tempfile.mkdtemp(prefix="ritz-encryption-"))
    try:
        before = _computed(cluster)
        run = online(cluster, Pipeline.model_validate(case.recipe()), str(folder / "store"))
        work = _computed(cluster) - before
    finally:
        shutil.rmtree(folder)
    return (run.steps - 1) / run.seconds, 1e3 * work / run.steps


def _computed(cluster: Any) -> float:
    """Return the seconds that the workers of a cluster and this process have computed so far."""

    times = cluster.client.run(lambda: sum(psutil.Process().cpu_times()[:2]))
    return sum(times.values()) + sum(psutil.Process().cpu_times()[:2])


if __name__ == "__main__":
    main()
