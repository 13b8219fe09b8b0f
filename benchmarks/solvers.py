"""Ritz's solvers beside the field's, on sequences of related systems.

    python -m benchmarks.solvers > benchmarks/solvers.txt
    python -m benchmarks.solvers --family lognormal-128 --seconds 60

Peers that are not installed are named as missing; README.md says how to install them.
"""

from __future__ import annotations

import argparse
import gc
import logging
import shlex
import signal
import sys
from collections.abc import Sequence

from benchmarks import ritz
from benchmarks.comparison import Row, compare
from benchmarks.families import FAMILIES, SOLVERS, Family, posed
from benchmarks.goals import Verdict
from benchmarks.method import steps
from benchmarks.peers import catalogue
from benchmarks.table import heading, summary, table
from benchmarks.threads import one_thread

log = logging.getLogger("benchmarks")

RTOL = 1e-8


def measure(family: Family, missing: dict[str, str], seconds: float) -> list[tuple[str, Verdict]]:
    """Compare all methods on one family, print the table, return the goals and what came out."""
    log.info("%s", family.title)
    systems = posed(family.problem, family.count + family.together)
    sequence = list(steps(systems, family.together))
    # The ends of the order are outliers; what stands in the middle says best how long a system takes.
    first = sequence.pop(len(sequence) // 2)
    own, absent = ritz.methods(SOLVERS, systems, RTOL)
    rows = compare([*own, *catalogue.methods(systems, RTOL, missing)], first, sequence, RTOL, seconds)
    best = best_of(rows)
    unknowns = first.rhs.shape[1]
    title = f"{family.name}: {family.title}; {unknowns} unknowns, {family.count} systems"
    peers = [row for row in rows if row.group != "ritz"]
    verdicts = [goal(best, peers) for goal in family.goals]
    print("", *table(title, rows, best, systems.operators.constant), sep="\n")
    for name, reason in absent.items():
        print(f"left out: {name} ({reason})")
    sys.stdout.flush()
    return [(family.name, verdict) for verdict in verdicts]


def best_of(rows: Sequence[Row]) -> Row | None:
    """Return the fastest row of Ritz that missed nothing."""
    able = [row for row in rows if row.group == "ritz" and row.seconds and not row.missed]
    return min(able, key=lambda row: row.median, default=None)


def main() -> None:
    """Print the tables of the families asked for, and the goals."""
    one_thread()
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--family", action="append", choices=FAMILIES, help="may be given often; all by default")
    parser.add_argument("--seconds", type=float, default=50, help="time for each family, warm-up not counted")
    arguments = parser.parse_args()
    logging.basicConfig(level=logging.WARNING, format="%(message)s", stream=sys.stderr)
    log.setLevel(logging.INFO)
    found, missing = catalogue.versions()
    command = shlex.join(["python", "-m", "benchmarks.solvers", *sys.argv[1:]])
    print(*heading(command, RTOL, found, missing), sep="\n", flush=True)
    verdicts = []
    # Also where it runs in the background, which does not hear Ctrl-C.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        for name in arguments.family or FAMILIES:
            verdicts += measure(FAMILIES[name], missing, arguments.seconds)
            gc.collect()
    except KeyboardInterrupt:
        print("\nStopped here; no other family was measured.")
    print("", *summary(verdicts), sep="\n")


if __name__ == "__main__":
    main()
