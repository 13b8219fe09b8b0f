"""Valid times of a solver that starts from perturbed states, beside what the Lyapunov exponent predicts of them.

    python -m benchmarks.valid_time > benchmarks/valid_time.txt                  # about 2 minutes on one core

The whole evaluation of predictions in time is held against a surrogate whose errors are known: the solver itself, from
first states on the attractor that are moved a little in a random direction. Its error grows as exp(λt), so its valid
time grows by ln(10)/λ for every tenth of the perturbation.
"""

from __future__ import annotations

import argparse
import math
import shlex
import sys
import textwrap
import time
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from benchmarks.lyapunov import no_systems
from benchmarks.table import align, provenance
from benchmarks.threads import one_thread
from ritz.compute.evaluation.lyapunov import Benettin
from ritz.compute.evaluation.metric import Subject
from ritz.compute.evaluation.rollouts.valid_time import ValidTime
from ritz.compute.fields.dimensions import Dimensions
from ritz.compute.problems.evolutions.kuramoto_sivashinsky import KuramotoSivashinsky
from ritz.compute.problems.evolutions.lorenz96 import Lorenz96
from ritz.compute.problems.evolutions.marching import Marching
from ritz.compute.problems.problem import Arrays

EXPLANATION = """
λ: largest Lyapunov exponent by Benettin's method. perturbation: its norm over that of the first state's deviation from
its mean over space; every sample is moved in one random direction. valid: time until the correlation of both solutions
over space falls below {bound:g} (metric valid_time), the mean over the samples ± its standard error; λ·valid: in
Lyapunov times; ln(δ/ε): what exp(λt) predicts for a perturbation ε that lies in the direction that grows, with
δ = {level:.2f}, at which two states of equal deviation correlate by {bound:g}; to the end: share of the samples that
stay above. slope: valid time gained per factor e of the perturbation, a line through all perturbations of a sample,
times λ: 1 is what the exponent predicts; the goal is 1 ± 10 %.
"""

PERTURBATIONS = (1e-2, 1e-3, 1e-4, 1e-5, 1e-6)

BOUND = ValidTime().bound

LEVEL = math.sqrt(2 * (1 - BOUND))
"""Distance of two states over their deviation at which they correlate by `BOUND`."""


@dataclass(frozen=True)
class Case:
    """A chaotic system, followed for long enough that all perturbations have grown up."""

    name: str
    problem: Marching
    samples: int
    rule: Benettin


CASES = (
    Case(
        "Kuramoto–Sivashinsky, L = 22, 64 points",
        KuramotoSivashinsky(steps=3200, store_every=4, end=800.0, spin_up=1000),
        128,
        Benettin(intervals=2000, transient=200),
    ),
    Case(
        "Lorenz-96, 40 sites, F = 8",
        Lorenz96(steps=1200, store_every=2, end=30.0),
        400,
        Benettin(intervals=2000, transient=100),
    ),
)


def valid_times(case: Case, exponent: float) -> Iterator[tuple[float, dict[str, np.ndarray]]]:
    """Yield each perturbation with what the metric found of the solver that starts from it, ``(n,)`` by part."""
    problem = case.problem
    inputs = problem.draw(0, np.arange(case.samples))
    truth = problem.simulate(inputs, no_systems)
    direction = np.random.default_rng(1).standard_normal(inputs["u0"].shape)
    first = inputs["u0"].astype(np.float64)
    deviation = np.linalg.norm(first - first.mean(axis=1, keepdims=True), axis=1, keepdims=True)
    unit = deviation * direction / np.linalg.norm(direction, axis=1, keepdims=True)
    dimensions, metric = Dimensions.of(problem.template(1)), ValidTime(exponent=exponent)
    for size in PERTURBATIONS:
        moved: Arrays = {**inputs, "u0": first + size * unit}
        prediction = problem.simulate(moved, no_systems)
        yield size, metric.measured(Subject(inputs, prediction, truth, dimensions, problem))


def rows(case: Case) -> tuple[list[list[str]], str]:
    """Return the lines of a system, and what its slope came to."""
    began = time.perf_counter()
    exponent = case.rule.exponent(case.problem, case.problem.draw(1, np.arange(64)), no_systems)
    lines, times = [], []
    for size, found in valid_times(case, exponent.mean):
        valid = found[""]
        times.append(valid)
        lines.append(
            [
                case.name if len(times) == 1 else "",
                f"{size:.0e}",
                f"{valid.mean():.4g} ± {_error(valid):.2g}",
                f"{found['lyapunov_times'].mean():.2f}",
                f"{math.log(LEVEL / size):.2f}",
                f"{found['to_the_end'].mean():.3f}",
            ]
        )
    slopes = np.polyfit(np.log(1 / np.array(PERTURBATIONS)), np.array(times), 1)[0] * exponent.mean
    # The exponent and the slope are measured on other trajectories.
    error = math.hypot(_error(slopes), slopes.mean() * exponent.standard_error / exponent.mean)
    verdict = "within 10 %" if abs(slopes.mean() - 1) <= 0.1 else "NOT within 10 %"
    said = (
        f"{case.name}: λ = {exponent.mean:.4f} ± {exponent.standard_error:.4f}, slope {slopes.mean():.3f} ± "
        f"{error:.3f}, {verdict}; {case.samples} samples, {time.perf_counter() - began:.0f} s"
    )
    return lines, said


def _error(values: np.ndarray) -> float:
    """Return the standard error of a mean."""
    return float(values.std(ddof=1) / math.sqrt(len(values)))


def main() -> None:
    """Print the table."""
    one_thread()
    argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter).parse_args()
    command = shlex.join(["python", "-m", "benchmarks.valid_time", *sys.argv[1:]])
    about = EXPLANATION.format(bound=BOUND, level=LEVEL)
    print(*provenance(command), "", *textwrap.wrap(about.strip(), 118), "", sep="\n", flush=True)
    lines, said = zip(*map(rows, CASES), strict=True)
    columns = ("system", "perturbation", "valid", "λ·valid", "ln(δ/ε)", "to the end")
    print(*align(columns, [line for part in lines for line in part], left=(0,)), "", *said, sep="\n")


if __name__ == "__main__":
    main()
