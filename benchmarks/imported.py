"""Data that Ritz did not solve: imported, trained on, and audited by the equations that they are said to solve.

    python -m benchmarks.imported > benchmarks/imported.txt                      # about 15 minutes on two cores

`benchmarks/published/darcy_files.py`, which knows nothing of Ritz, solves the permeabilities of a dataset of Ritz and
writes them as PDEBench and The Well lay out their files. A surrogate is trained on Ritz's own dataset and on both
imports, over seeds. Then files of two discretisations, each with one wrong sample of several sorts, are audited.
"""

from __future__ import annotations

import argparse
import logging
import shlex
import shutil
import subprocess
import sys
import tempfile
import textwrap
from collections.abc import Sequence
from pathlib import Path

import h5py
import numpy as np
import yaml

from benchmarks.table import align, provenance
from benchmarks.threads import one_thread
from ritz.compute.cluster.cluster import Cluster
from ritz.compute.cluster.local import Local
from ritz.compute.evaluation.field_errors import RelativeL2Error
from ritz.storage.datasets import Dataset
from ritz.storage.store import Store
from ritz.tasks.auditing.equations import audit_as
from ritz.tasks.auditing.equations_record import EquationAudit
from ritz.tasks.documents.card import Origin
from ritz.tasks.documents.dataset import DatasetVersion
from ritz.tasks.generation.generate import generate
from ritz.tasks.importing.importing import import_files
from ritz.tasks.measuring.evaluate import evaluate
from ritz.tasks.recipes import load
from ritz.tasks.requests.importing import ImportFiles
from ritz.tasks.requests.learning import Train
from ritz.tasks.requests.looking import AuditAs
from ritz.tasks.training.train import train
from ritz.tasks.training.worker import register

log = logging.getLogger("benchmarks")

SCRIPT = Path(__file__).parent / "published" / "darcy_files.py"
LAYOUTS = {"pdebench": ("pdebench_darcy", "pdebench.h5"), "the-well": ("the_well", "the_well_*.h5")}
WRONG = 137
SORTS = (
    "upside down",
    "of another sample",
    "5 % too large",
    "0.5 % too large",
    "one value 10 % off",
    "one value 1 % off",
)
TRAINING = {"kind": "offline", "epochs": 60, "batch_size": 8}
SURROGATE = {"kind": "fno", "modes": 8, "width": 16, "layers": 3}


def mapping(folder: Path, layout: str, name: str) -> str:
    """Write the YAML of an import."""
    kind, files = LAYOUTS[layout]
    variables = {
        "a": {"role": "input", "transform": "log", "long_name": "permeability"},
        "u": {"role": "output", "divide_by": "beta", "long_name": "pressure"},
    }
    document = {"name": name, "files": files, "layout": kind, "symmetries": "square", "variables": variables}
    path = folder / f"{name}.yaml"
    path.write_text(yaml.safe_dump(document))
    return str(path)


def imported(mapped: str, store: str, cluster: Cluster) -> str:
    """Import files, and return the version."""
    request = ImportFiles.read(mapped)
    return import_files.fn(request.planned(store), store, cluster).dataset.spec


def error(dataset: str, seed: int, store: str, cluster: Cluster) -> float:
    """Train on a dataset with a seed, and return the mean relative L2 error on its test split."""
    changes = {"training": TRAINING | {"seed": seed}, "surrogate": SURROGATE, "name": f"{dataset.split('@')[0]}-{seed}"}
    fit = Train(load(dataset, changes, stages=(), store_url=store), dataset).planned(store)
    pipeline, version = fit.pipeline, fit.dataset
    source = DatasetVersion(name=version.name, version=version.version, snapshot=version.snapshot)
    identity = pipeline.model_identity("offline", version.snapshot)
    trained = train.fn(
        pipeline,
        store,
        cluster,
        identity=identity,
        dataset=version.name,
        version=version.version,
        shards=fit.data.n_shards,
        samples=fit.samples,
    )
    origin = Origin(
        name=pipeline.name, dataset=source, recipe=pipeline.document(), mode="offline", training=trained.summary
    )
    model = cluster.call("train", register, store, trained.identity, pipeline.name, origin)
    found = evaluate.fn(store, cluster, model.spec, version.spec, (RelativeL2Error(),))
    return found.metrics.relative_l2.mean


def spoil(folder: Path, sort: str) -> None:
    """Make one sample of the file of PDEBench's layout wrong in another way than the script does."""
    with h5py.File(folder / "pdebench.h5", "r+") as file:
        field = file["tensor"][WRONG, 0]
        if sort == "of another sample":
            field = file["tensor"][WRONG - 1, 0]
        elif sort.startswith("one value"):
            field[10, 10] *= 1.1 if "10" in sort else 1.01
        else:
            field = field * (1.05 if sort.startswith("5") else 1.005)
        file["tensor"][WRONG, 0] = field


def solve(folder: Path, inputs: Path, means: str, *options: str) -> None:
    subprocess.run([sys.executable, str(SCRIPT), str(folder), str(inputs), "--means", means, *options], check=True)


def audited(dataset: str, store: str, cluster: Cluster) -> EquationAudit:
    return audit_as.fn(store, cluster, AuditAs.read(dataset, "darcy", 256).planned(store))


def trainings(folder: Path, own: str, inputs: Path, store: str, cluster: Cluster, seeds: int) -> list[list[str]]:
    """Return the errors over seeds of a surrogate trained on Ritz's dataset and on the imports, a row each."""
    solve(folder / "good", inputs, "harmonic")
    specs = {"Ritz": own} | {
        layout: imported(mapping(folder / "good", layout, layout), store, cluster) for layout in LAYOUTS
    }
    rows, first = [], 0.0
    for name, spec in specs.items():
        errors = np.array([error(spec, seed, store, cluster) for seed in range(seeds)])
        mean = errors.mean()
        first = first or mean
        deviation = errors.std(ddof=1) / np.sqrt(seeds)
        cells = [name, f"{mean:.4f} ± {deviation:.4f}", f"{mean / first:.3f}", *(f"{one:.4f}" for one in errors)]
        log.info("%s", "  ".join(cells))
        rows.append(cells)
    return rows


def audits(folder: Path, inputs: Path, store: str, cluster: Cluster) -> list[list[str]]:
    """Return what an audit says of files with one wrong sample, a row each."""
    rows = []
    for means in ("harmonic", "arithmetic"):
        solve(folder / means, inputs, means)
        solve(folder / f"{means}-wrong", inputs, means, "--wrong", str(WRONG))
        cases = [(layout, sort) for layout in LAYOUTS for sort in ("none", SORTS[0])]
        for layout, sort in cases + [("pdebench", sort) for sort in SORTS[1:]]:
            place = folder / (means if sort == "none" else f"{means}-wrong")
            if sort in SORTS[1:]:
                place = Path(shutil.copytree(folder / means, folder / f"{means}-{SORTS.index(sort)}"))
                spoil(place, sort)
            name = f"{means}-{layout}-{(*SORTS, 'none').index(sort)}"
            found = audited(imported(mapping(place, layout, name), store, cluster), store, cluster)
            named = [one.sample for one in found.outliers]
            assert found.error is not None
            assert found.grid is not None
            cells = [
                means,
                layout,
                sort,
                found.verdict,
                f"{found.error.median:.2g}",
                f"{found.grid:.2g}",
                ", ".join(map(str, named)) or "-",
                "yes" if named == ([] if sort == "none" else [WRONG]) else "NO",
            ]
            log.info("%s", "  ".join(cells))
            rows.append(cells)
    return rows


def printed(seeds: int, learnt: Sequence[list[str]], looked: Sequence[list[str]]) -> None:
    print("\n".join(provenance(shlex.join(["python", "-m", "benchmarks.imported", *sys.argv[1:]]))))
    said = (
        "200 Darcy samples on 32² cells, solved by Ritz, and solved by an independent script for the same "
        f"permeabilities and imported. A surrogate, {SURROGATE}, is trained on each, {TRAINING}: relative L2 error on "
        "the 30 test samples, its mean over seeds with the standard error, and that mean over the one with Ritz's own "
        "samples. Imported samples lie in the order of the file, those of Ritz in the order of solving: batches differ."
    )
    print("\n" + "\n".join(textwrap.wrap(said, 118)) + "\n")
    heads = ("samples of", "relative L2", "ratio", *(f"seed {seed}" for seed in range(seeds)))
    print("\n".join(align(heads, learnt, left=(0,))))
    said = (
        "`ritz audit NAME --as darcy` of such files, solved with the harmonic means of Ritz and with arithmetic means; "
        f"sample {WRONG} is wrong: the solution for the permeability upside down, the solution of another sample, its "
        "own times 1.05 and 1.005, one value 10 % and 1 % off. error: median estimated relative L2 error; grid: median "
        "distance of 8 solutions to those on 16² cells; right: whether just the wrong sample is named."
    )
    print("\n" + "\n".join(textwrap.wrap(said, 118)) + "\n")
    heads = ("means", "layout", "wrong sample", "verdict", "error", "grid", "named", "right")
    print("\n".join(align(heads, looked, left=(0, 1, 2, 3, 6, 7))))


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=5, help="seeds of the training (5)")
    arguments = parser.parse_args()
    one_thread()
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stderr, force=True)
    with tempfile.TemporaryDirectory() as name, Local().open() as cluster:
        folder, store = Path(name), str(Path(name) / "store")
        asked = {"name": "own", "problem.shape": [32, 32], "data": {"samples": 200, "shard": 10}}
        own = generate.fn(load("darcy", asked, stages=()), store, cluster).dataset.spec
        stored = Dataset.open(Store(store), "own").read_samples(np.arange(200)).arrays
        np.save(folder / "a.npy", stored["a"])
        learnt = trainings(folder, own, folder / "a.npy", store, cluster, arguments.seeds)
        looked = audits(folder, folder / "a.npy", store, cluster)
    printed(arguments.seeds, learnt, looked)


if __name__ == "__main__":
    main()
