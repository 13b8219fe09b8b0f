"""What each shipped recipe comes to: error, minutes, and after how many queries its surrogate has paid for itself.

Every recipe is run as a user would, ``ritz run RECIPE``, into one store, one after the other; the table has what the
record of each run says. Runs that are finished in the store are not run again. The figures are kept for `ritz recipes`
in ``deployments/measured.json``.

    python -m benchmarks.recipes --store recipes-store > benchmarks/recipes.txt
    python -m benchmarks.recipes --recipe burgers --recipe darcy
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from pathlib import Path

from ritz.tasks.documents.provenance import machine
from ritz.tasks.documents.reading import read
from ritz.tasks.documents.run import FinishedRun
from ritz.tasks.documents.verdict import RELEASES
from ritz.tasks.measuring.gate import better_baselines
from ritz.tasks.recipes import names
from ritz.tasks.views.measured import FILE, Measured, document, measured

KEPT = Path(__file__).parents[1] / "deployments" / FILE
"""Where `ritz recipes` finds the figures."""

COLUMNS = (
    ("recipe", 21),
    ("relative L2", 12),
    ("best baseline", 26),
    ("90 % bands", 11),
    ("minutes", 8),
    ("pays after", 14),
    ("in batches", 12),
    ("verdict", 12),
)


def ran(recipe: str, store: str) -> FinishedRun:
    """Run a recipe and return its record."""
    sys.stderr.write(f"{recipe} …\n")
    command = [str(Path(sys.executable).with_name("ritz")), "run", recipe, "--store", store, "--json"]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, env=os.environ | {"OMP_NUM_THREADS": "1"})
    if done.returncode not in (0, 1) or not done.stdout:
        raise SystemExit(f"{' '.join(command)} ended with code {done.returncode}")
    return read(FinishedRun, json.loads(done.stdout), f"the record of {recipe}")


def row(recipe: str, record: FinishedRun, found: Measured) -> tuple[str, ...]:
    """Return the row of a recipe."""
    mark = " (better)" if found.baseline in better_baselines(record.metrics, record.baselines) else ""
    return (
        recipe,
        f"{100 * found.relative_l2:.2f} %",
        f"{found.baseline} {100 * found.baseline_relative_l2:.2f} %{mark}",
        "–" if found.coverage is None else f"{100 * found.coverage:.1f} %",
        f"{found.seconds / 60:.1f}",
        *found.pays_after(),
        RELEASES[record.model.release_by(record.recipe)],
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--store", default="recipes-store", help="Where the runs lie.")
    parser.add_argument("--recipe", action="append", help="Run this one alone; repeatable. Default: all shipped.")
    asked = parser.parse_args()
    here = machine()
    print(f"# python -m benchmarks.{Path(__file__).stem}, {here.processor}, {here.cores} cores")
    print("".join(f"{title:<{width}}" for title, width in COLUMNS))
    figures = measured()
    for recipe in asked.recipe or names():
        record = ran(recipe, asked.store)
        figures[recipe] = Measured.of(record)
        KEPT.write_text(document(here.document(), figures), encoding="utf-8")
        cells = row(recipe, record, figures[recipe])
        print("".join(f"{cell:<{width}}" for cell, (_, width) in zip(cells, COLUMNS, strict=True)), flush=True)


if __name__ == "__main__":
    main()
