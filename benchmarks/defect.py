"""One step of a problem's own iteration as an estimate of a prediction's error: its cost, and how well it ranks.

    python -m benchmarks.defect > benchmarks/defect.txt                            # about 3 minutes
    python -m benchmarks.defect --recipe heat --recipe burgers
    python -m benchmarks.defect --part estimators > benchmarks/defect-estimators.txt    # the second table alone

A *prediction* here is a solution plus a random error, in a sample a third to three times as large as the mean error of
the recipe's surrogate. No network is trained; the errors of one are rougher.
"""

from __future__ import annotations

import argparse
import logging
import shlex
import sys
import textwrap
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from typing import Literal, get_args

import numpy as np
import scipy

from benchmarks.table import align, provenance
from benchmarks.threads import one_thread
from benchmarks.wrong_estimators import CoarseMesh, HalfGrid, WithoutWalls
from ritz.compute.problems.convection import Convection
from ritz.compute.problems.helmholtz import Helmholtz
from ritz.compute.problems.plate import Plate
from ritz.compute.problems.problem import Arrays, Problem
from ritz.compute.simulation.correction import correct
from ritz.compute.simulation.posing import all_systems
from ritz.compute.simulation.simulate import simulate
from ritz.compute.solvers.choice.auto import Auto
from ritz.compute.solvers.estimate import Estimate
from ritz.compute.solvers.factorization.direct import Direct
from ritz.compute.solvers.solver import Solver
from ritz.compute.solvers.systems import Systems
from ritz.compute.solvers.transform.transform import Transform
from ritz.tasks.recipes import load
from ritz.tasks.views.measured import measured

log = logging.getLogger("benchmarks")

SEED, TURNS, WAVES, REACH = 0, 3, 24, 3
RTOL, TRUTH = 1e-8, 1e-10
POINTS = 100_000
EXACT = 1e-9
"""Part of the error that an exact step leaves at most: rounding."""
REFUSED = 0.3
"""Median part of the error that is left from which on an estimator is refused."""

RECIPES = (
    *("darcy", "darcy-two-phase", "darcy-contrast", "darcy-3d", "poisson", "elliptic", "convection", "helmholtz"),
    *("helmholtz-3d", "acoustic", "heat", "burgers", "plate"),
)


Shape = Literal["waves", "solutions"]
SHAPES: tuple[Shape, ...] = get_args(Shape)


@dataclass(frozen=True)
class Case:
    """A problem, the size and the shape of the errors of its predictions, and what estimates them."""

    title: str
    problem: Problem
    error: float
    block: int
    solver: Solver = field(default_factory=Estimate)
    rtol: float = 0.01
    shape: Shape = "waves"


@dataclass
class Found:
    """What was measured.

    Attributes
    ----------
    errors
        Relative errors of the predictions, after one step and after two, ``(samples, 3)``, block by block.
    estimates
        ``‖e‖ / ‖û + e‖`` of the first step, block by block.
    points
        ``|e|`` and ``|error|`` at points, ``(2, count)``, block by block.
    seconds
        Of the processor per sample: one step, two, the whole solve.
    failed
        Samples without a good answer.
    """

    errors: list[np.ndarray] = field(default_factory=list)
    estimates: list[np.ndarray] = field(default_factory=list)
    points: list[np.ndarray] = field(default_factory=list)
    seconds: dict[str, list[float]] = field(default_factory=lambda: {"one": [], "two": [], "full": []})
    failed: int = 0

    def left(self, step: int) -> float:
        """Return the median part of the error before a step that it leaves."""
        errors = np.concatenate(self.errors)
        return float(np.median(errors[:, step] / errors[:, step - 1]))

    def ranks(self) -> tuple[float, float]:
        """Return the rank correlations of estimate and error, by point and by sample."""
        points, errors = np.concatenate(self.points, axis=1), np.concatenate(self.errors)
        by_sample = scipy.stats.spearmanr(np.concatenate(self.estimates), errors[:, 0])
        return float(scipy.stats.spearmanr(*points).statistic), float(by_sample.statistic)


def smooth(problem: Problem, ids: np.ndarray) -> Arrays:
    """Return random waves over space and time by output, float64: the same for an id in any block."""
    found = {}
    for name, output in problem.template(1).data_vars.items():
        if output.attrs["role"] != "output":
            continue
        inner = output.isel(sample=0)
        along = [
            (values - values.min()) / max(float(np.ptp(values)), 1e-300)
            for coordinate in inner.coords.values()
            if coordinate.dims and set(coordinate.dims) <= set(inner.dims)
            for values in [coordinate.broadcast_like(inner).transpose(*inner.dims).values.astype(float)]
        ]
        fields = np.zeros((len(ids), *inner.shape))
        for row, i in zip(fields, ids, strict=True):
            rng = np.random.default_rng((SEED, int(i)))
            for _ in range(WAVES):
                k = rng.integers(-REACH, REACH + 1, len(along))
                phase = sum((2 * np.pi * n * x for n, x in zip(k, along, strict=True)), 2 * np.pi * rng.random())
                row += rng.standard_normal() / (1 + k @ k) ** 0.5 * np.cos(phase)
        found[str(name)] = fields
    return found


def sizes(fields: Arrays) -> np.ndarray:
    """Return the norms of all outputs together, ``(n,)``."""
    return np.sqrt(sum(np.sum(values.reshape(len(values), -1) ** 2, axis=1) for values in fields.values()))


def less(a: Arrays, b: Arrays) -> Arrays:
    return {name: a[name] - b[name] for name in a}


def predicted(case: Case, truth: Arrays, ids: np.ndarray) -> Arrays:
    """Return the truth with an error, in float32: random waves, or what another solution has more."""
    if case.shape == "waves":
        waves = smooth(case.problem, ids)
    else:
        waves = {name: np.roll(values, 1, axis=0) - values for name, values in truth.items()}
    factor = 3.0 ** np.array([np.random.default_rng((SEED, int(i), 1)).uniform(-1, 1) for i in ids])
    share = case.error * factor * sizes(truth) / sizes(waves)
    return {
        name: (values + share.reshape(-1, *(1,) * (values.ndim - 1)) * waves[name]).astype(np.float32)
        for name, values in truth.items()
    }


def quickest(problem: Problem) -> Solver:
    """Return what `Auto` chooses for the whole solve."""
    posed = all_systems(problem, problem.draw(SEED, np.arange(5)), Direct(), RTOL)
    return Auto().choose(posed if len(posed) > 1 else posed[0], RTOL)[0]


def answering(case: Case) -> str:
    """Return what answers the systems of a step."""
    names = []

    def solve(systems: Systems) -> np.ndarray:
        if isinstance(case.solver, Estimate):
            names.append(case.solver.chosen(systems).kind + (" (exact)" if case.solver.exact(systems) else ""))
        else:
            names.append(case.solver.kind)
        return np.zeros_like(systems.rhs)

    inputs = case.problem.draw(SEED, np.arange(2))
    case.problem.corrected(inputs, smooth(case.problem, np.arange(2)), solve)
    return names[0]


def blocks(samples: int, length: int) -> Iterator[np.ndarray]:
    for first in range(0, samples, length):
        yield np.arange(first, min(first + length, samples))


def study(case: Case, samples: int, full: Solver, *, timed: bool) -> Found:
    """Estimate the errors of some samples, in blocks of the recipe's shard, and measure the time if that is asked."""
    found, rng = Found(), np.random.default_rng(SEED)
    for ids in blocks(samples, case.block):
        inputs = case.problem.draw(SEED, ids)
        truth, ledger = simulate(case.problem, inputs, full, TRUTH)
        assert set(ledger["status"]) == {"ok"}, ledger["reason"]
        guess = predicted(case, truth, ids)

        def step(fields: Arrays) -> Arrays:
            return correct(case.problem, inputs, fields, case.solver, case.rtol)[0]  # noqa: B023 # called at once

        once, twice, error = step(guess), step(step(guess)), less(truth, guess)
        whole = sizes(truth)
        good = np.isfinite(sizes(once)) & np.isfinite(sizes(twice))
        found.failed += int((~good).sum())
        steps = [error, less(truth, once), less(truth, twice)]
        found.errors.append(np.stack([sizes(one) / whole for one in steps], axis=1)[good])
        change = less(once, guess)
        found.estimates.append((sizes(change) / sizes(once))[good])
        pairs = [np.concatenate([np.abs(part[name][good]).ravel() for name in truth]) for part in (change, error)]
        drawn = rng.integers(0, len(pairs[0]), POINTS * len(ids) // samples)
        found.points.append(np.stack(pairs)[:, drawn])
        if not timed:
            continue
        ways: dict[str, Callable[[], object]] = {
            "one": lambda: step(guess),  # noqa: B023 # called at once
            "two": lambda: step(step(guess)),  # noqa: B023 # called at once
            "full": lambda: simulate(case.problem, inputs, full, RTOL),  # noqa: B023 # called at once
        }
        for turn in range(TURNS):
            for name in np.roll(list(ways), turn):
                start = time.process_time()
                ways[name]()
                found.seconds[name].append((time.process_time() - start) / len(ids))
    return found


def percent(value: float) -> str:
    return "0" if value < 1e-9 else f"{100 * value:.2g}"


def row(case: Case, samples: int) -> list[str]:
    """Return a row of the first table."""
    full = quickest(case.problem)
    found = study(case, samples, full, timed=True)
    one, two, whole = (1e3 * float(np.median(seconds)) for seconds in found.seconds.values())
    means = np.concatenate(found.errors).mean(axis=0)
    return [
        case.title,
        answering(case),
        f"{one:.2f}",
        f"{two:.2f}",
        f"{whole:.2f}",
        full.kind,
        f"{whole / one:.2f}",
        *map(percent, means),
        *(f"{rank:.3f}" for rank in found.ranks()),
        f"{found.left(1):.2g}",
        "–" if means[1] < 1e-9 else f"{found.left(2):.2g}",
        str(found.failed),
    ]


COLUMNS = (
    *("recipe", "answered by", "one step", "two", "full solve", "by", "full/one", "error %", "after one", "after two"),
    *("points", "samples", "left", "left of that", "failed"),
)
EXPLANATION = """
Predictions are solutions with a smooth random error (waves of up to three periods over the box and over time), of the
recipe's relative L2 error as deployments/measured.json has it, in a sample a third to three times of it; {samples}
samples of each recipe at its size, in blocks of its shard. answered by: what Estimate takes for the systems of a step,
and whether it solves them exactly. one step, two, full solve: milliseconds per sample, medians of {turns} turns over
all blocks, one after the other, time of the processor, one thread; full solve to {rtol:g} by what Auto chooses. error
%: mean relative L2 error before, after one step of Problem.corrected, after two (0: rounding). points, samples:
Spearman's rank correlation of the estimate with the error, |e| with |truth − û| at {points} points of all samples and
‖e‖/‖û + e‖ with ‖truth − û‖/‖truth‖ by sample. left: median of ‖error − e‖/‖error‖, and the same of the second step (–
where nothing but rounding is left).
"""
WRONG = """
Estimators that stop early, beside those of Estimate, and corrections that are projections. waves: errors as above;
solutions: errors that are differences of the solutions of two samples. left: median part of the error that the first
step leaves, and the part of that which the second leaves; where a step is exact the second has rounding to work on. An
estimator is to be refused if one of them is above {refused}.
"""
WRONG_COLUMNS = (
    *(
        "estimator",
        "answered by",
        "waves: left",
        "points",
        "samples",
        "solutions: left",
        "points",
        "samples",
        "refused",
    ),
)


def shipped(recipe: str) -> Case:
    """Return a recipe's problem and the error of its surrogate."""
    pipeline = load(recipe)
    return Case(recipe, pipeline.problem, measured()[recipe].relative_l2, pipeline.data.shard)


def wrong() -> list[Case]:
    """Return estimators that stop early or are projections, each after what Estimate does by itself."""
    flow, waves, sound = shipped("convection"), shipped("helmholtz"), shipped("acoustic")
    problem = Convection.model_validate(flow.problem.model_dump() | {"diffusivity": 0.001})
    varied = Helmholtz.model_validate(waves.problem.model_dump() | {"variation": 0.06})
    restless = replace(waves, problem=varied)
    plate, medium = shipped("plate"), shipped("darcy")
    assert isinstance(plate.problem, Plate)
    grid = medium.problem.model_dump(exclude={"kind"})
    return [
        replace(flow, title="convection, ε = 0.001, residual 0.01", problem=problem),
        replace(
            flow, title="convection, ε = 0.001, residual 0.3", problem=problem, solver=Estimate(rtol=0.3), rtol=0.3
        ),
        replace(waves, title="helmholtz, until the change is small"),
        replace(waves, title="helmholtz, residual 0.3", solver=Transform(), rtol=0.3),
        replace(restless, title="helmholtz, k varies by 6 %, until the change is small"),
        replace(restless, title="helmholtz, k varies by 6 %, residual 0.3", solver=Transform(), rtol=0.3),
        replace(sound, title="acoustic, residual 1e-4", solver=Estimate(indefinite=1e-4)),
        replace(sound, title="acoustic, residual 1e-3"),
        plate,
        replace(plate, title="plate, a mesh of half the cells alone", problem=CoarseMesh(cells=plate.problem.cells)),
        replace(plate, title="plate, its walls left out", problem=WithoutWalls(cells=plate.problem.cells)),
        medium,
        replace(medium, title="darcy, half the grid alone", problem=HalfGrid(**grid)),
    ]


def judged(case: Case, samples: int) -> list[str]:
    """Return a row of the second table."""
    cells, worst, full = [], 0.0, quickest(case.problem)
    for shape in SHAPES:
        found = study(replace(case, shape=shape), samples, full, timed=False)
        first, second = found.left(1), found.left(2)
        # Of an exact step the second one leaves what rounding has left.
        exact = first < EXACT
        worst = max(worst, first, 0.0 if exact else second)
        cells += [f"{first:.2g}, {'–' if exact else f'{second:.2g}'}", *(f"{rank:.3f}" for rank in found.ranks())]
    return [case.title, answering(case), *cells, "yes" if worst > REFUSED else "no"]


def main() -> None:
    """Print the tables."""
    one_thread()
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--recipe", action="append", choices=RECIPES, help="may be given often; all by default")
    parser.add_argument("--part", choices=("all", "estimators"), default="all", help="the second table alone, or both")
    parser.add_argument("--samples", type=int, default=64)
    arguments = parser.parse_args()
    logging.basicConfig(level=logging.ERROR, format="%(message)s", stream=sys.stderr)
    log.setLevel(logging.INFO)
    print(*provenance(shlex.join(["python", "-m", "benchmarks.defect", *sys.argv[1:]])), sep="\n", flush=True)
    words = {"samples": arguments.samples, "turns": TURNS, "rtol": RTOL, "points": POINTS, "refused": REFUSED}
    if arguments.part == "all":
        print("", *textwrap.wrap(EXPLANATION.format(**words).strip(), 118), "", sep="\n")
        lines = []
        for recipe in arguments.recipe or RECIPES:
            log.info("%s", recipe)
            lines.append(row(shipped(recipe), arguments.samples))
            log.info("  %s", " | ".join(lines[-1]))
        print(*align(COLUMNS, lines, left=(0, 1, 5)), sep="\n")
        if arguments.recipe:
            return
    print("", *textwrap.wrap(WRONG.format(**words).strip(), 118), "", sep="\n")
    lines = []
    for case in wrong():
        log.info("%s", case.title)
        lines.append(judged(case, arguments.samples))
        log.info("  %s", " | ".join(lines[-1]))
    print(*align(WRONG_COLUMNS, lines, left=(0, 1, 8)), sep="\n")


if __name__ == "__main__":
    main()
