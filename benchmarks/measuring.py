"""Evaluation and calibration of large splits: the memory they take, and how busy they keep the workers.

    python -m benchmarks.measuring > benchmarks/measuring.txt                    # about 15 minutes on two cores
    python -m benchmarks.measuring --case pca_ridge --gigabytes 1

The test split alone has the given size; the samples are those of Darcy's problem, solved once and scaled: of c·a the
solution is u/c. Memory is the largest resident size of a process by the kernel's count, with the libraries.
"""

from __future__ import annotations

import argparse
import logging
import resource
import shlex
import sys
import tempfile
import textwrap
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.table import align, provenance
from benchmarks.threads import one_thread
from ritz.compute.cluster.cluster import Cluster
from ritz.compute.cluster.local import Local
from ritz.compute.cluster.profile import Role
from ritz.compute.evaluation.field_errors import RelativeL2Error
from ritz.compute.problems.darcy import Darcy
from ritz.compute.simulation.simulate import simulate
from ritz.compute.solvers.multigrid.multigrid import Multigrid
from ritz.storage.committer import Committer
from ritz.storage.shards import write_shard
from ritz.storage.store import Store
from ritz.tasks.documents.card import Origin
from ritz.tasks.documents.dataset import DatasetVersion
from ritz.tasks.measuring.evaluate import evaluate
from ritz.tasks.measuring.quantify import quantify
from ritz.tasks.pipeline import Pipeline
from ritz.tasks.training.train import train
from ritz.tasks.training.worker import register

log = logging.getLogger("benchmarks")

SHARD, SOLVED, RTOL, LEVELS = 32, 64, 1e-8, [0.5, 0.9]
FEW = {"train": 256, "validate": 32, "calibrate": 256}
"""Samples of the other splits."""


@dataclass(frozen=True)
class Case:
    """What is measured: a grid, a surrogate, and how its error bars are made."""

    shape: tuple[int, int]
    surrogate: Mapping[str, Any]
    training: Mapping[str, Any]
    spread: str
    gigabytes: float


CASES: Mapping[str, Case] = {
    "pca_ridge": Case((256, 256), {"kind": "pca_ridge"}, {"kind": "fit"}, "learnt", 10.0),
    "fno": Case((64, 64), {"kind": "fno"}, {"kind": "offline", "epochs": 1}, "learnt", 0.3),
}


@dataclass(frozen=True)
class Taken:
    """What a stage took.

    Attributes
    ----------
    seconds
        By the clock on the wall.
    busy
        Time of the processor of both workers over twice that.
    worker, driver
        Largest resident size of a worker and of the driver, in GB.
    """

    stage: str
    seconds: float
    busy: float
    worker: float
    driver: float


def pipeline(case: Case, samples: int) -> Pipeline:
    """Return the recipe."""
    return Pipeline.model_validate(
        {
            "name": "large",
            "problem": {"kind": "darcy", "shape": case.shape},
            "data": {"samples": samples, "shard": SHARD},
            "surrogate": dict(case.surrogate),
            "training": dict(case.training),
            "evaluation": [RelativeL2Error()],
            "uncertainty": {"kind": "conformal", "levels": LEVELS, "spread": case.spread},
        }
    )


def fill(store: Store, recipe: Pipeline, samples: int) -> DatasetVersion:
    """Write the dataset and publish it."""
    problem = recipe.problem
    assert isinstance(problem, Darcy)
    inputs = problem.draw(0, np.arange(SOLVED))
    outputs, _ = simulate(problem, inputs, Multigrid(), RTOL)
    names = np.repeat(list(FEW), list(FEW.values()))
    split = np.concatenate([names, np.full(samples - len(names), "test")])
    split = split[np.random.default_rng(0).permutation(samples)]
    dataset = Committer.ensure(
        store,
        recipe.name,
        problem.template(samples),
        identity=recipe.dataset_identity,
        recipe=recipe.document(),
        sample_id=np.arange(samples),
        split=split,
        shard=SHARD,
        solvers=("multigrid",),
        attrs={"rtol": RTOL},
    )
    ledger: dict[str, Any] = {name: np.zeros(SHARD, int) for name in ("iterations", "matvecs", "seconds")}
    ledger |= {"status": ["ok"] * SHARD, "reason": [""] * SHARD, "solver": ["multigrid"] * SHARD}
    ledger["residual"] = np.full(SHARD, RTOL)
    with dataset.lock():
        fork, done = dataset.fork(), {}
        for index in range(samples // SHARD):
            rows = np.arange(index * SHARD, (index + 1) * SHARD)
            factor = (1 + 0.2 * (rows // SOLVED % 100) / 100).reshape(-1, 1, 1)
            a, u = inputs["a"][rows % SOLVED] * factor, outputs["u"][rows % SOLVED] / factor
            fields = {"a": a.astype(np.float32), "u": u.astype(np.float32)}
            done[index] = (write_shard(fork, index, fields, ledger), ledger)
            if len(done) == 64 or index == samples // SHARD - 1:
                dataset.commit(done)
                fork, done = dataset.fork(), {}
        version = dataset.publish("all")
    return DatasetVersion(name=version.name, version=version.version, snapshot=version.snapshot)


def fitted(store: Store, cluster: Cluster, recipe: Pipeline, version: DatasetVersion, samples: int) -> str:
    """Train, and return the model as ``NAME@VERSION``."""
    trained = train.fn(
        recipe,
        store.url,
        cluster,
        identity="large",
        dataset=version.name,
        version=version.version,
        shards=samples // SHARD,
        samples=FEW["train"],
    )
    origin = Origin(
        name=recipe.name, dataset=version, recipe=recipe.document(), mode="offline", training=trained.summary
    )
    return str(cluster.call("train", register, store.url, trained.identity, recipe.name, origin).spec)


def peak() -> float:
    """Return the largest resident size of this process so far, in GB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e9


def taken(case: Case, gigabytes: float, folder: Path) -> list[Taken]:
    """Fill a store, and evaluate and quantify a model there on two workers."""
    sample = 2 * 4 * case.shape[0] * case.shape[1]
    tested = int(gigabytes * 1e9 / sample)
    samples = -(-(tested + sum(FEW.values())) // SHARD) * SHARD
    store, recipe = Store(folder / "store"), pipeline(case, samples)
    version = fill(store, recipe, samples)
    log.info("%d samples of %.1f MB are written", samples, sample / 1e6)
    found = []
    with Local(train=Role()).open(("train",)) as one:
        model = fitted(store, one, recipe, version, samples)
    for stage, run, choice in (("evaluate", evaluate, recipe.evaluation), ("quantify", quantify, recipe.uncertainty)):
        # Workers of its own, so that the peak is that of the stage.
        with Local(train=Role(count=2)).open(("train",)) as two:
            begun, before = time.monotonic(), sum(two.client.run(time.process_time).values())
            run.fn(store.url, two, model, version.spec, choice)
            seconds = time.monotonic() - begun
            busy = (sum(two.client.run(time.process_time).values()) - before) / (2 * seconds)
            worker = max(two.client.run(peak).values())
        found.append(Taken(stage, seconds, busy, worker, peak()))
        log.info("%s", found[-1])
    return found


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--case", choices=CASES, action="append", help="only these; all by default")
    parser.add_argument("--gigabytes", type=float, help="size of the test split; that of the case by default")
    parser.add_argument("--folder", type=Path, help="where there is room for it; the folder for temporary files")
    arguments = parser.parse_args()
    one_thread()
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stderr)
    table = [("surrogate", "test split", "samples of", "stage", "s", "MB/s", "busy", "worker", "driver")]
    for name in arguments.case or CASES:
        case = CASES[name]
        size = arguments.gigabytes or case.gigabytes
        with tempfile.TemporaryDirectory(dir=arguments.folder) as folder:
            for row in taken(case, size, Path(folder)):
                figures = (f"{row.seconds:.0f}", f"{1e3 * size / row.seconds:.0f}", f"{100 * row.busy:.0f} %")
                memory = (f"{row.worker:.2f} GB", f"{row.driver:.2f} GB")
                where = f"{case.shape[0]} x {case.shape[1]}"
                table.append((name, f"{size:g} GB", where, row.stage, *figures, *memory))
    said = (
        "Two workers of one thread, and a driver. s: wall time of the stage, with the baselines that are fitted and "
        "the truth that is solved better; busy: time of the processor of both workers over twice that; worker, driver: "
        "largest resident size. Inputs and outputs count for the size of the split."
    )
    print("\n".join(provenance(shlex.join(["python", "-m", "benchmarks.measuring", *sys.argv[1:]]))))
    print("\n" + "\n".join(textwrap.wrap(said, 118)) + "\n")
    print("\n".join(align(table[0], table[1:], left=(0, 3))))


if __name__ == "__main__":
    main()
