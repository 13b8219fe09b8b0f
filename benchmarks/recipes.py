"""What each shipped recipe comes to: error, minutes, and after how many queries its surrogate has paid for itself.

Every recipe is run as a user would, ``ritz run RECIPE``, into one store, one after the other; the table has what the
record of each run says. Runs that are finished in the store are not run again.

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
from typing import Any

from ritz.tasks.gate import RELEASES, better_baselines
from ritz.tasks.provenance import machine
from ritz.tasks.recipes import names

COLUMNS = (
    ("recipe", 16),
    ("relative L2", 12),
    ("best baseline", 26),
    ("90 % bands", 11),
    ("minutes", 8),
    ("pays after", 14),
    ("in batches", 12),
    ("verdict", 12),
)


def ran(recipe: str, store: str) -> dict[str, Any]:
    """Run a recipe and return its record."""
    sys.stderr.write(f"{recipe} …\n")
    command = [str(Path(sys.executable).with_name("ritz")), "run", recipe, "--store", store, "--json"]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, env=os.environ | {"OMP_NUM_THREADS": "1"})
    if done.returncode not in (0, 1) or not done.stdout:
        raise SystemExit(f"{' '.join(command)} ended with code {done.returncode}")
    record: dict[str, Any] = json.loads(done.stdout)
    return record


def row(recipe: str, record: dict[str, Any]) -> tuple[str, ...]:
    """Return the row of a recipe."""
    errors = {name: one["relative_l2"]["mean"] for name, one in record["baselines"].items()}
    best = min(errors, key=lambda name: errors[name])
    band = record["coverage"].get("0.9")
    paid = record["break_even"]
    mark = " (better)" if best in better_baselines(record["metrics"], record["baselines"]) else ""
    return (
        recipe,
        f"{100 * record['metrics']['relative_l2']['mean']:.2f} %",
        f"{best} {100 * errors[best]:.2f} %{mark}",
        f"{100 * band['measured']:.1f} %" if band else "–",
        f"{record['times']['total'] / 60:.1f}",
        queries(paid, "queries"),
        queries(paid, "queries_batched"),
        RELEASES[record["model"]["release"]],
    )


def queries(paid: dict[str, Any], name: str) -> str:
    """Return after how many queries a model has paid for itself."""
    if not paid["measured"]:
        return "not known"
    return "never" if paid[name] is None else f"{paid[name]:,}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--store", default="recipes-store", help="Where the runs lie.")
    parser.add_argument("--recipe", action="append", help="Run this one alone; repeatable. Default: all shipped.")
    asked = parser.parse_args()
    here = machine()
    print(f"# python -m benchmarks.{Path(__file__).stem}, {here['processor']}, {here['cores']} cores")
    print("".join(f"{title:<{width}}" for title, width in COLUMNS))
    for recipe in asked.recipe or names():
        cells = row(recipe, ran(recipe, asked.store))
        print("".join(f"{cell:<{width}}" for cell, (_, width) in zip(cells, COLUMNS, strict=True)), flush=True)


if __name__ == "__main__":
    main()
