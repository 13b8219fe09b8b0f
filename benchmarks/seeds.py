"""A recipe over several seeds, of the samples and of the training: its errors, and what its error bars hold.

    python -m benchmarks.seeds darcy > benchmarks/seeds.txt                      # about 25 minutes on two cores

Every seed is a whole run by `ritz run`, in a store of its own. The bands of the run are those that the recipe asks for,
by the equations where the problem can; beside them learnt bands are calibrated for the same model on the same samples.
"""

from __future__ import annotations

import argparse
import json
import logging
import shlex
import subprocess
import sys
import tempfile
import textwrap
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.table import align, provenance
from benchmarks.threads import one_thread
from ritz.compute.cluster.local import Local
from ritz.compute.uncertainty.conformal.conformal import Conformal
from ritz.compute.uncertainty.shares import binomial
from ritz.compute.uncertainty.spread.learnt import Learnt
from ritz.storage import runs
from ritz.storage.store import Store
from ritz.tasks.measuring.quantify import quantify

log = logging.getLogger("benchmarks")

LEVEL = "0.9"
COLUMNS = ("seed", "bands", "relative L2", "points", "whole fields", "2nd ring", "worst ring", "width / sd")


def run(recipe: str, seed: int, store: Path) -> Mapping[str, Any]:
    """Run the recipe with a seed, and return its record."""
    change = [f"data.seed={seed}", f"training.seed={seed}"]
    command = ["ritz", "run", recipe, "--store", str(store), *(part for one in change for part in ("--set", one))]
    subprocess.run([str(Path(sys.executable).with_name("ritz")), *command[1:]], check=True, stdout=sys.stderr)
    [record] = runs.look(Store(store)).good
    return record


def row(seed: int, bands: str, error: float, coverage: Mapping[str, Any]) -> tuple[list[str], Mapping[str, Any]]:
    """Return the cells of a line, and the figures at 90 %."""
    found = coverage[LEVEL]
    fields = found["fields"]
    zones = [one[0] for one in found.get("by_zone") or [[float("nan")] * 3] * 2]
    cells = [
        str(seed),
        bands,
        f"{error:.4f}",
        f"{100 * found['measured']:.1f} [{100 * found['low']:.1f}, {100 * found['high']:.1f}]",
        f"{fields['inside']} of {fields['of']}",
        f"{100 * zones[1]:.1f}",
        f"{100 * min(zones):.1f}",
        f"{found['width_over_sd']:.2g}" if "width_over_sd" in found else "",
    ]
    return cells, found


def summary(kind: str, found: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return the line over all seeds: the mean of the points, all fields together."""
    points = 100 * np.array([one["measured"] for one in found])
    inside, of = (sum(one["fields"][key] for one in found) for key in ("inside", "of"))
    low, high = binomial(inside, of)
    whole = f"{100 * inside / of:.1f} [{100 * low:.1f}, {100 * high:.1f}]"
    second = 100 * np.mean([one["by_zone"][1][0] for one in found])
    return [
        "all",
        kind,
        "",
        f"{points.mean():.1f} ({points.min():.1f} to {points.max():.1f})",
        whole,
        f"{second:.1f}",
        "",
        "",
    ]


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("recipe", nargs="?", default="darcy")
    parser.add_argument("--seeds", type=int, default=5, help="runs (5)")
    arguments = parser.parse_args()
    one_thread()
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stderr)
    lines: list[list[str]] = []
    figures: dict[str, list[Mapping[str, Any]]] = {"run": [], "learnt": []}
    for seed in range(arguments.seeds):
        with tempfile.TemporaryDirectory() as folder:
            store = Path(folder) / "store"
            record = run(arguments.recipe, seed, store)
            error = record["metrics"]["relative_l2"]["mean"]
            model, dataset = (f"{record[part]['name']}@{record[part]['version']}" for part in ("model", "dataset"))
            with Local().open(("train",)) as cluster:
                learnt = quantify.fn(str(store), cluster, model, dataset, Conformal(spread=Learnt()))
        for kind, coverage in (("run", record["coverage"]), ("learnt", learnt.document()["coverage"])):
            cells, found = row(seed, "as the run's" if kind == "run" else kind, error, coverage)
            lines.append(cells)
            figures[kind].append(json.loads(json.dumps(found)))
            log.info("%s", "  ".join(cells))
    lines += [summary("as the run's" if kind == "run" else kind, found) for kind, found in figures.items()]
    print("\n".join(provenance(shlex.join(["python", "-m", "benchmarks.seeds", *sys.argv[1:]]))))
    said = (
        f"Recipe {arguments.recipe}; bands of {float(LEVEL):.0%} on the test split. points: share inside in %, with "
        "its interval over samples; whole fields: inside the wider bands around whole fields; rings: share inside in "
        "the second ring of cells from the walls, and in the worst of all rings. Over all seeds: the mean of the "
        "points and their range, and all fields together with their interval. The widths of bands by the equations "
        "are those around the corrected fields."
    )
    print("\n" + "\n".join(textwrap.wrap(said, 118)) + "\n")
    print("\n".join(align(COLUMNS, lines, left=(0, 1))))


if __name__ == "__main__":
    main()
