"""What choosing costs: `Auto`, its probe included, against the best single solver in hindsight.

    python -m benchmarks.choice > benchmarks/choice.txt
    python -m benchmarks.choice --family lognormal --systems 200

Every solver that can, and the one that `Auto` chose, solve the same systems in blocks, each with its carry. The next
block is always for the one that has used the least time so far. So all have the same share of the machine at any
time, and when the first has solved all systems, each other has spent as long without: it is slower, and is stopped.
No time is extrapolated. Kernels are compiled, libraries loaded and patterns analysed before the clock starts.
"""

from __future__ import annotations

import argparse
import logging
import shlex
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from benchmarks import ritz
from benchmarks.families import JUMPS, SOLVERS, TWO_PHASE, posed
from benchmarks.table import align, provenance
from benchmarks.threads import one_thread
from ritz.compute.problems.convection import Convection
from ritz.compute.problems.darcy import Darcy
from ritz.compute.problems.helmholtz import Helmholtz
from ritz.compute.problems.plate import Plate
from ritz.compute.problems.poisson import Poisson
from ritz.compute.problems.problem import Problem
from ritz.compute.solvers.choice.auto import Auto
from ritz.compute.solvers.solver import Solver
from ritz.compute.solvers.systems import Systems

log = logging.getLogger("benchmarks")

RTOL = 1e-8
BLOCK = 20
"""Systems solved in one call."""
GOALS = {200: 1.3, 2000: 1.1}
"""Largest ratio by number of systems."""

FAMILIES: dict[str, tuple[str, Problem]] = {
    "lognormal": ("Darcy 64², log-normal", Darcy(shape=(64, 64))),
    "two-phase": ("Darcy 64², phases 3, 12", Darcy(shape=(64, 64), law=TWO_PHASE)),
    "contrast": ("Darcy 64², jumps of 1000", Darcy(shape=(64, 64), law=JUMPS)),
    "lognormal-3d": ("Darcy 16³, log-normal", Darcy(shape=(16, 16, 16))),
    **{
        f"convection-{diffusivity}": (
            f"convection–diffusion 64², ε = {diffusivity}",
            Convection(shape=(64, 64), diffusivity=diffusivity),
        )
        for diffusivity in (0.1, 0.01, 0.001)
    },
    **{
        f"helmholtz-{k}-{percent}": (
            f"Helmholtz 64², k₀ = {k} ± {percent} %",
            Helmholtz(shape=(64, 64), wavenumber=k, variation=percent / 100),
        )
        for k, percent in ((20, 2), (20, 20), (40, 10))
    },
    "helmholtz-3d": (
        "Helmholtz 16³, k₀ = 10 ± 10 %",
        Helmholtz(shape=(16, 16, 16), wavenumber=10, variation=0.1),
    ),
    "constant-square": ("one matrix, square 64²", Poisson(shape=(64, 64))),
    "constant-plate": ("one matrix, slotted plate, 9311 unknowns", Plate(cells=64)),
}


@dataclass
class Lane:
    """A solver on its way through the systems."""

    solver: Solver
    name: str
    carry: Any = None
    done: int = 0
    seconds: float = 0.0
    failed: int = 0

    def advance(self, systems: Systems) -> None:
        """Solve the next block."""
        block = systems.take(slice(self.done, self.done + BLOCK))
        start = time.perf_counter()
        solutions, self.carry = self.solver.solve(block, rtol=RTOL, carry=self.carry)
        self.seconds += time.perf_counter() - start
        self.done += len(block)
        self.failed += sum(status != "ok" for status in solutions.ledger["status"])


@dataclass(frozen=True)
class Outcome:
    """What came out.

    Attributes
    ----------
    best
        The quickest of those that answered all systems to the tolerance, None if there is none.
    chosen
        What `Auto` chose.
    probe
        Seconds of choosing.
    others
        The lanes that were slower than the best.
    """

    best: Lane | None
    chosen: Lane
    probe: float
    others: list[Lane]

    @property
    def ratio(self) -> float:
        """Time of `Auto` over that of the best; infinite if its choice failed on a system."""
        if self.best is None or self.chosen.failed:
            return float("inf")
        return (self.probe + self.chosen.seconds) / self.best.seconds


def contest(
    systems: Systems, warm: Systems, auto: Auto | None = None, recipes: Sequence[dict[str, Any]] = SOLVERS
) -> Outcome:
    """Let `Auto` choose, and run its choice beside all solvers that can; ``warm`` are other systems of the family."""
    auto = auto or Auto()
    methods, absent = ritz.methods(recipes, systems, RTOL)
    for name, reason in absent.items():
        log.info("  left out: %s (%s)", name, reason)
    lanes = [Lane(method.solver, method.name) for method in methods]
    for lane in lanes:
        for _ in range(2):
            lane.solver.solve(warm, rtol=RTOL)
    auto.choose(warm, RTOL)
    start = time.perf_counter()
    solver, _ = auto.choose(systems, RTOL)
    probe = time.perf_counter() - start
    chosen = Lane(solver, ritz.Own(solver, RTOL).name)
    best: Lane | None = None
    while running := [
        lane
        for lane in (*lanes, chosen)
        if lane.done < len(systems) and (lane is chosen or best is None or lane.seconds <= best.seconds)
    ]:
        lane = min(running, key=lambda lane: lane.seconds)
        lane.advance(systems)
        finished = lane is not chosen and lane.done == len(systems) and not lane.failed
        if finished and (best is None or lane.seconds < best.seconds):
            best = lane
    return Outcome(best, chosen, probe, [lane for lane in lanes if lane is not best])


def row(title: str, count: int, outcome: Outcome) -> list[str]:
    """Return the cells of one line of the table."""
    best, chosen, goal = outcome.best, outcome.chosen, GOALS[count]
    others = sorted(outcome.others, key=lambda lane: -lane.done)
    return [
        title,
        str(count),
        best.name if best else "none answered all",
        f"{best.seconds:.2f}" if best else "–",
        chosen.name,
        f"{outcome.probe:.2f}",
        f"{chosen.seconds:.2f}",
        f"{outcome.ratio:.2f}",
        f"≤ {goal}",
        "met" if outcome.ratio <= goal else "NOT MET",
        ", ".join(f"{lane.name.removeprefix('Ritz ')} {lane.done}" for lane in others[:2]),
    ]


COLUMNS = ("family", "N", "best in hindsight", "s", "chosen", "probe s", "rest s", "ratio", "goal", "", "next, systems")
EXPLANATION = """
Every solver and the one that Auto chose solve the same systems, in blocks of 20, each with its carry; the next block is
for the one that has used the least time so far, until the best has solved all. ratio: (probe s + rest s) / s of the
best in hindsight. next: how many systems the next best solved in that time. Kernels are compiled, libraries loaded and
patterns analysed before the clock starts.
"""


def main() -> None:
    """Print the table."""
    one_thread()
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--family", action="append", choices=FAMILIES, help="may be given often; all by default")
    parser.add_argument("--systems", action="append", type=int, choices=GOALS, help="200, 2000; both by default")
    arguments = parser.parse_args()
    logging.basicConfig(level=logging.ERROR, format="%(message)s", stream=sys.stderr)
    log.setLevel(logging.INFO)
    counts = arguments.systems or list(GOALS)
    print(
        *provenance(shlex.join(["python", "-m", "benchmarks.choice", *sys.argv[1:]])), EXPLANATION, sep="\n", flush=True
    )
    lines = []
    for name in arguments.family or FAMILIES:
        title, problem = FAMILIES[name]
        log.info("%s", title)
        systems = posed(problem, max(counts) + BLOCK)
        warm = systems.take(slice(max(counts), None))
        for count in counts:
            lines.append(row(title, count, contest(systems.take(slice(count)), warm)))
            log.info("  %s", " | ".join(lines[-1]))
    print(*align(COLUMNS, lines, left=(0, 2, 4, 9, 10)), sep="\n")


if __name__ == "__main__":
    main()
