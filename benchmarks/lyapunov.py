"""Largest Lyapunov exponents by Benettin's method, beside those of the literature.

python -m benchmarks.lyapunov

"""

from __future__ import annotations

import argparse
import shlex
import sys
import textwrap
import time
from dataclasses import dataclass

import numpy as np

from benchmarks.lorenz63 import Lorenz63
from benchmarks.table import align, provenance
from benchmarks.threads import one_thread
from ritz.compute.evaluation.lyapunov import Benettin
from ritz.compute.problems.evolution import Evolution
from ritz.compute.problems.evolutions.kuramoto_sivashinsky import KuramotoSivashinsky
from ritz.compute.problems.evolutions.lorenz96 import Lorenz96
from ritz.compute.solvers.systems import Systems

EXPLANATION = """
λ: mean over the trajectories ± its standard error, per unit of the system's time. Every trajectory and one at a
relative distance of {distance:g} are marched together and set back to that distance after every interval; time: over
which each trajectory is followed, after a transient. within: whether λ lies in the range of the literature, the values
named with their tolerance. s: wall time. Valid times count in Lyapunov times by the λ of Lorenz-96 and of
Kuramoto–Sivashinsky (`lyapunov_exponents` of the problems); between two F by the line between theirs, which "F = 7.5"
tries.
"""


@dataclass(frozen=True)
class Case:
    """A system, how long it is followed, and what is known of it, if anything."""

    name: str
    problem: Evolution
    trajectories: int
    rule: Benettin
    known: str = "–"
    low: float = -np.inf
    high: float = np.inf


CASES = (
    Case(
        "Lorenz-63, Δt = 0.01",
        Lorenz63(),
        2000,
        Benettin(intervals=400, transient=40),
        "0.906 ± 1 %",
        0.99 * 0.906,
        1.01 * 0.906,
    ),
    Case(
        "Lorenz-96, 40 sites, F = 8, Δt = 0.025",
        Lorenz96(),
        400,
        Benettin(intervals=2000, transient=100),
        "1.68 ± 2 %",
        0.98 * 1.68,
        1.02 * 1.68,
    ),
    *(
        Case(
            f"Lorenz-96, 40 sites, F = {forcing:g}, Δt = 0.025",
            Lorenz96(forcing=forcing),
            200,
            Benettin(intervals=2000, transient=200),
        )
        for forcing in (6.0, 7.0, 7.5, 9.0, 10.0)
    ),
    Case(
        "Kuramoto–Sivashinsky, L = 22, 64 points, Δt = 0.25",
        KuramotoSivashinsky(),
        64,
        Benettin(intervals=4000, transient=1000),
        "0.043 to 0.05",
        0.043,
        0.05,
    ),
)


def no_systems(systems: Systems) -> np.ndarray:
    """Refuse systems: the steps of all these problems are explicit."""
    raise TypeError(f"explicit steps posed {len(systems.rhs)} systems, expected none")


def row(case: Case) -> list[str]:
    """Return the line of a case."""
    inputs = case.problem.draw(0, np.arange(case.trajectories))
    began = time.perf_counter()
    found = case.rule.exponent(case.problem, inputs, no_systems)
    return [
        case.name,
        str(case.trajectories),
        f"{found.duration:g}",
        f"{found.mean:.4f} ± {found.standard_error:.4f}",
        case.known,
        "–" if case.known == "–" else "yes" if case.low <= found.mean <= case.high else "NO",
        f"{time.perf_counter() - began:.0f}",
    ]


def main() -> None:
    """Print the table."""
    one_thread()
    argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter).parse_args()
    command = shlex.join(["python", "-m", "benchmarks.lyapunov", *sys.argv[1:]])
    about = EXPLANATION.format(distance=Benettin().distance)
    print(*provenance(command), "", *textwrap.wrap(about.strip(), 118), "", sep="\n", flush=True)
    columns = ("system", "trajectories", "time", "λ", "literature", "within", "s")
    print(*align(columns, [row(case) for case in CASES], left=(0, 4, 5)), sep="\n")


if __name__ == "__main__":
    main()
