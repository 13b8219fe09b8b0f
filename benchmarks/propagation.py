"""Answers about populations beside plain Monte Carlo: what is chosen, what it costs, and whether the intervals hold.

for recipe in darcy burgers elliptic; do ritz run $recipe --store STORE; done
python -m benchmarks.propagation --store STORE > benchmarks/propagation.txt          # about 30 minutes on one core
python -m benchmarks.propagation --part cookies
"""

from __future__ import annotations

import argparse
import logging
import shlex
import sys
import textwrap
from collections.abc import Callable, Iterator

from benchmarks.populations.coverage import intervals
from benchmarks.populations.design import design
from benchmarks.populations.estimates import cookies, means, threshold
from benchmarks.table import provenance
from benchmarks.threads import one_thread
from ritz.storage.store import Store

PARTS: dict[str, tuple[Callable[[Store], Iterator[str]], str]] = {
    "means": (
        means,
        """
`Propagation` with an error to reach, and plain Monte Carlo without a pilot until its interval is as narrow, by turns,
3 seeds each; medians of processor seconds, the pilot's among them. The error is that for which plain Monte Carlo needs
about 10 000 solves of Darcy, and 4000 of Burgers. taken: the chain that the pilot chose in the last turn. holds: how
many of the intervals hold the mean of other solves, 20 000 of Darcy and 5000 of Burgers, widened by its own error.
""",
    ),
    "cookies": (
        cookies,
        """
The UM-Bridge benchmark "cookies-problem-propagation", E[Q] = 0.0642023672: grids up to 160² cells, 5 seeds. off by:
relative to the published number, the error of the grid included (benchmarks/cookies.txt).
""",
    ),
    "threshold": (
        threshold,
        """
The probability that the largest pressure lies above a threshold, that of 4000 other solves. screen: the rung that
judges samples far from it; solved: the share of the samples that were solved. same: as many of the same samples above
it as with all of them solved.
""",
    ),
    "intervals": (
        intervals,
        """
How many of 500 intervals of 95 % hold. The population is a pool of 4000 samples of Darcy, drawn from with replacement;
a solve of a coarser grid is taken to cost 0.1 solves, a prediction 0.01, so that each is chosen. two models: the share
of all predictions above the threshold, and the mean difference in 100 solves with the normal interval, which is the
usual way.
""",
    ),
    "design": (
        design,
        """
Mean and standard deviation of the mean temperature of the elliptic recipe by 100 solves and 1000 cheap answers, with
the cheap ones as control variate of the value and of its square; 100 repetitions. The population is a pool of 2000
samples, drawn from with replacement, whose mean and deviation are those of all its solves. within 2 %: of the standard
deviation. interval: how often that of 95 % holds. solver s, all s: processor seconds of the 100 solves, and of these
with the cheap answers. ÷: those of 2000 solves over all s.
""",
    ),
}
"""What is measured, and how to read it."""


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--store", default="ritz-store", help="with models of the recipes darcy, burgers and elliptic")
    parser.add_argument("--part", action="append", choices=list(PARTS), help="repeatable; all by default")
    arguments = parser.parse_args()
    logging.basicConfig(level=logging.WARNING, format="%(message)s", stream=sys.stderr)
    logging.getLogger("benchmarks").setLevel(logging.INFO)
    print("\n".join(provenance(shlex.join(["python", "-m", "benchmarks.propagation", *_shown(arguments.part)]))))
    for name in arguments.part or PARTS:
        measure, explanation = PARTS[name]
        print(f"\n{name}\n")
        print("\n".join(textwrap.wrap(" ".join(explanation.split()), 118)), end="\n\n")
        for line in measure(Store(arguments.store)):
            print(line, flush=True)


def _shown(parts: list[str] | None) -> list[str]:
    return [word for part in parts or () for word in ("--part", part)]


if __name__ == "__main__":
    one_thread()
    main()
