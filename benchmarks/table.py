"""Print what was measured."""

from __future__ import annotations

import os
import platform
import sys
import textwrap
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

import numpy as np

from benchmarks.comparison import Row
from benchmarks.goals import Verdict

EXPLANATION = """
Methods take turns system by system, in an order shuffled for every system. N: right-hand sides answered; slow methods
do fewer, spread over the sequence (the first ones if they carry something along). ms: median a right-hand side, set-up
and solve, from the CSR matrix (Ritz, hypre: the stencil) in memory to the solution, in time of the processor, not of
the wall, of the process that solves; Ritz's holds the check of the true residual. Library loading, compilation and a
first solve are outside of the clock for all. †: what depends on the pattern only (analysis, symbolic factorisation) is
done once, outside of the clock. Where all systems have one matrix the set-up is done once, outside of the clock, and
shown by itself (ms). ×: ms over those of the best method of Ritz. residual: largest true ‖b − Ax‖/‖b‖ in float64;
above {rtol:g} is a miss, which has no time.
"""


def machine() -> str:
    """Name the processor and the cores this process may use."""
    names = [
        line.split(":")[1].strip() for line in Path("/proc/cpuinfo").read_text().splitlines() if "model name" in line
    ]
    return f"{names[0] if names else platform.machine()}, {len(os.sched_getaffinity(0))} cores"


def provenance(command: str) -> list[str]:
    """Say what was run, with what and where."""
    own = " ".join(f"{name} {version(name)}" for name in ("numpy", "scipy", "numba"))
    return [
        f"{command}  # {datetime.now(UTC):%Y-%m-%d}, python {sys.version.split()[0]} {own}",
        f"Machine: {machine()}; one thread in every process (OMP, OpenBLAS, MKL, numba).",
    ]


def heading(command: str, rtol: float, peers: Sequence[str], missing: Mapping[str, str]) -> list[str]:
    """Say how the tables came about."""
    return [
        *provenance(command),
        f"Peers: {'; '.join(peers)}.",
        *(f"Missing: {name} ({reason})." for name, reason in missing.items()),
        "",
        *textwrap.wrap(EXPLANATION.format(rtol=rtol).strip(), 118),
    ]


def table(title: str, rows: Sequence[Row], best: Row | None, constant: bool) -> list[str]:
    """Print the rows of one family, fastest first; where all systems have one matrix, also its set-up."""
    lines = []
    for row in sorted(rows, key=lambda row: row.median):
        notes = [f"{note} ({count})" for note, count in row.notes.items()]
        if row.missed:
            notes.insert(0, f"missed {row.missed} of {row.missed + row.answered}, up to {row.worst:.0e}")
        ratio = row.ratio(best) if best else np.nan
        lines.append(
            [
                row.name + (" †" if row.method.reuses else ""),
                str(row.answered),
                _number(1e3 * row.median),
                "" if row.setup is None else _number(1e3 * row.setup),
                "" if row.iterations is None else f"{row.iterations:.1f}",
                "" if np.isnan(ratio) else _number(ratio),
                f"{row.residual:.1e}" if row.seconds else "",
                "; ".join(notes),
            ]
        )
    columns = ["method", "N", "ms", "set-up once", "its", "×", "residual", ""]
    kept = [i for i in range(len(columns)) if constant or i != 3]
    return [title, *align([columns[i] for i in kept], [[line[i] for i in kept] for line in lines])]


def summary(verdicts: Sequence[tuple[str, Verdict]]) -> list[str]:
    """Print all goals and what was reached."""
    words = {True: "met", False: "NOT MET", None: "no answer"}
    lines = [[family, v.goal, v.reached, v.against, words[v.met]] for family, v in verdicts]
    return ["Goals", *align(["family", "goal", "reached", "against", "verdict"], lines, left=(0, 1, 3, 4))]


def _number(value: float) -> str:
    """Three digits that count."""
    if not np.isfinite(value):
        return "–"
    return (
        f"{value:.0f}"
        if value >= 100
        else f"{value:.1f}"
        if value >= 10
        else f"{value:.2f}"
        if value >= 1
        else f"{value:.3f}"
    )


def align(columns: Sequence[str], lines: Sequence[Sequence[str]], left: Sequence[int] | None = None) -> list[str]:
    """Set a table in columns; the first and last are flush left unless ``left`` says which."""
    flush = (0, len(columns) - 1) if left is None else left
    widths = [max(map(len, column)) for column in zip(columns, *lines, strict=True)]
    return [
        "  ".join(
            c.ljust(w) if i in flush else c.rjust(w) for i, (c, w) in enumerate(zip(line, widths, strict=True))
        ).rstrip()
        for line in (columns, *lines)
    ]
