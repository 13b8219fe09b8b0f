"""Reduced bases, one for all or one per cluster of solutions: their errors, and what a reduced solve costs.

python -m benchmarks.bases > benchmarks/bases.txt                       # about 15 minutes on one core
python -m benchmarks.bases --seeds 2
"""

from __future__ import annotations

import argparse
import logging
import shlex
import sys
import textwrap
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache, partial

import numpy as np
import scipy

from benchmarks.table import align, provenance
from benchmarks.threads import one_thread
from ritz.compute.evaluation.cost import timed
from ritz.compute.evaluation.matched import REPEATS, fastest
from ritz.compute.fields.errors import relative_l2
from ritz.compute.problems.acoustic import Acoustic
from ritz.compute.problems.convection import Convection
from ritz.compute.problems.evolutions.burgers import Burgers
from ritz.compute.problems.helmholtz import Helmholtz
from ritz.compute.problems.problem import Arrays, Problem
from ritz.compute.simulation.quickest import quickest
from ritz.compute.simulation.reduced.reduced import ReducedBases, ReducedModel, snapshots
from ritz.compute.simulation.simulate import simulate

log = logging.getLogger("benchmarks")

TRAIN, TEST, TIMED, RTOL, CLUSTERS, MODES, LIMIT = 240, 200, 40, 1e-8, 6, 10, 300

PROBLEMS: dict[str, tuple[Problem, bool]] = {
    "Helmholtz 64², k₀ = 20 ± 30 %": (Helmholtz(shape=(64, 64), wavenumber=20, variation=0.3), False),
    "convection 64², ε = 0.01": (Convection(shape=(64, 64)), False),
    "Burgers, ν = 0.005, all times": (Burgers(viscosity=0.005), False),
    "Burgers, ν = 0.005, last time": (Burgers(viscosity=0.005), True),
}
"""By title: the problem, and whether the state at the last time is all of a snapshot."""

BASES: dict[str, ReducedBases] = {
    f"{bases}{', norm 1' if normalise else ''}": ReducedBases(normalise=normalise, modes=MODES, **choice)
    for normalise in (False, True)
    for bases, choice in (
        ("one POD", {}),
        (f"{CLUSTERS} by angle", {"clusters": CLUSTERS, "dissimilarity": "angle"}),
        (f"{CLUSTERS} by distance", {"clusters": CLUSTERS, "dissimilarity": "euclid"}),
    )
}

PRICED: dict[str, Problem] = {
    "Helmholtz 64², k₀ = 20 ± 30 %": PROBLEMS["Helmholtz 64², k₀ = 20 ± 30 %"][0],
    "convection 64², ε = 0.01": PROBLEMS["convection 64², ε = 0.01"][0],
    "acoustic 16³, k₀ = 9": Acoustic(shape=(16, 16, 16)),
}

PRICES: dict[str, ReducedBases] = {
    f"{CLUSTERS} by angle, {MODES} modes": ReducedBases(clusters=CLUSTERS, modes=MODES),
    **{f"one POD, {modes} modes": ReducedBases(modes=modes) for modes in (MODES, 40, 100)},
}

ERRORS = f"""
Relative L2 errors on {TEST} new samples of bases of {TRAIN} solved ones with at most {MODES} modes, means over
{{seeds}} seeds (of the samples and of the random forest) with 95 % t intervals. by angle, by distance: local bases of
{CLUSTERS} clusters by k-medoids, with the sine of the angle or the Euclidean distance; norm 1: snapshots are
normalised first. nearest: the nearest field in the span, by the basis that is best for the sample, which nothing tells
beforehand. chosen: the nearest field in the basis that the random forest chooses. over one POD, over the same, norm 1:
chosen over that of the one global POD of snapshots as they are, and of normalised ones, seed by seed; less: on how many
seeds it is below both. Galerkin: what the reduced model answers in the chosen basis, mean and median over the samples.
Burgers is not linear: there is no reduced solve of it, only the projections.
"""

COSTS = f"""
The cost of a reduced solve, per sample in a block of {TIMED}, from the inputs to the fields: features and choice,
assembly, products with the modes, the small solve; wall times, the least of {REPEATS}, medians over {{seeds}} seeds.
error: mean relative L2 error of Galerkin's answers, of normalised snapshots. fastest: the quickest of Ritz's solves, on
grids of 1 to 8 times fewer points per axis and at tolerances of {RTOL:g} to 0.1, whose mean error on the same samples
is no larger; which one: times fewer points, solver and tolerance on the first seed. ratio: reduced over fastest, its
least and largest over the seeds. after: queries after which the samples that the bases were solved from have paid for
themselves, on the first seed. pays: yes where a reduced solve is quicker on every seed, and its error is below 1, that
of u = 0.
"""


@dataclass(frozen=True)
class Samples:
    """Solved samples, and what the reference cost.

    Attributes
    ----------
    inputs, fields
        Of those that bases are made of, and of new ones.
    seconds
        Per solve to the tolerance of the reference.
    """

    inputs: tuple[Arrays, Arrays]
    fields: tuple[Arrays, Arrays]
    seconds: float


@cache
def samples(problem: Problem, seed: int) -> Samples:
    """Draw and solve; no sample may fail."""
    inputs = problem.draw(seed, np.arange(TRAIN + TEST))
    solver = quickest(problem, {name: values[:4] for name, values in inputs.items()}, RTOL)
    fields, ledger = simulate(problem, inputs, solver, RTOL)
    if set(ledger["status"]) != {"ok"}:
        raise RuntimeError(f"{problem.kind}: {ledger['status'].count('failed')} samples failed")
    parts = [
        tuple({name: values[part] for name, values in arrays.items()} for part in (slice(TRAIN), slice(TRAIN, None)))
        for arrays in (inputs, fields)
    ]
    return Samples(parts[0], parts[1], float(np.mean(ledger["seconds"])))


def errors(problem: Problem, last: bool, seed: int) -> dict[str, dict[str, float]]:
    """Return the errors of all bases on one seed."""
    solved = samples(problem, seed)
    known, new = (snapshots({"u": one["u"][:, -1]} if last else one) for one in solved.fields)
    features = [problem.features(one) for one in solved.inputs]
    found = {}
    for name, kind in BASES.items():
        dictionary = kind.dictionary(known, features[0], seed)
        all_labels = [np.full(TEST, cluster) for cluster in range(kind.clusters)]
        nearest = np.min([relative_l2(dictionary.project(new, labels), new) for labels in all_labels], axis=0)
        chosen = relative_l2(dictionary.project(new, dictionary.choose(features[1])), new)
        found[name] = {"nearest": nearest.mean(), "chosen": chosen.mean()}
        if not kind.unfit(problem):
            answers = relative_l2(snapshots(ReducedModel(problem, dictionary).answer(solved.inputs[1])), new)
            found[name] |= {"mean": answers.mean(), "median": float(np.median(answers))}
    return found


def error_rows(title: str, seeds: list[dict[str, dict[str, float]]]) -> Iterator[list[str]]:
    """Yield the lines of a problem."""
    first, unit = "one POD", "one POD, norm 1"
    for name in BASES:
        of = {key: np.array([seed[name][key] for seed in seeds]) for key in seeds[0][name]}
        over = [of["chosen"] / [seed[one]["chosen"] for seed in seeds] for one in (first, unit)]
        yield [
            title if name == first else "",
            name,
            *(interval(of[key]) for key in ("nearest", "chosen")),
            *("" if name == one else interval(ratio) for one, ratio in zip((first, unit), over, strict=True)),
            "" if name in (first, unit) else f"{np.sum((over[0] < 1) & (over[1] < 1))}/{len(seeds)}",
            *(interval(of[key]) if key in of else "" for key in ("mean", "median")),
        ]


def interval(values: np.ndarray) -> str:
    """Return a mean with the half width of its 95 % t interval."""
    half = scipy.stats.t.ppf(0.975, len(values) - 1) * values.std(ddof=1) / np.sqrt(len(values))
    return f"{values.mean():.3f} ± {half:.3f}"


def costs(title: str, problem: Problem, seeds: int) -> Iterator[list[str]]:
    """Yield the lines of a problem."""
    lines: dict[str, list[tuple[float, float, float, str, str]]] = {name: [] for name in PRICES}
    for seed in range(seeds):
        solved = samples(problem, seed)
        inputs, truth = ({n: v[:TIMED] for n, v in one[1].items()} for one in (solved.inputs, solved.fields))
        models = {n: kind.fit(problem, solved.inputs[0], solved.fields[0], seed) for n, kind in PRICES.items()}
        wrong = {n: relative_l2(snapshots(m.answer(inputs)), snapshots(truth)).mean() for n, m in models.items()}
        # One search for all: what is tried for the largest error holds what is tried for the others.
        matched = fastest(problem, inputs, truth, max(wrong.values()), rtol=RTOL, limit=LIMIT)
        for name, model in models.items():
            seconds = timed(partial(model.answer, inputs), repeats=REPEATS)["least"] / TIMED
            accurate = [trial for trial in matched.tried if trial.error is not None and trial.error <= wrong[name]]
            best = min(accurate, key=lambda trial: trial.seconds)
            gain = best.seconds - seconds
            after = f"{TRAIN * solved.seconds / gain:.0f}" if gain > 0 and wrong[name] < 1 else "never"
            which = f"1/{best.space}, {best.solver['kind']}, {best.rtol:g}" + ("" if matched.complete else ", cut off")
            lines[name].append((wrong[name], seconds, best.seconds, which, after))
            log.info("%s, %s, seed %d: %s", title, name, seed, lines[name][-1])
    for name, found in lines.items():
        error, seconds, full = (np.array([one[part] for one in found]) for part in range(3))
        ratio = seconds / full
        above = np.sum(error >= 1)
        pays = "yes" if (ratio < 1).all() and not above else "no"
        if above:
            pays += f": error above 1 on {above} of {seeds} seeds"
        yield [
            title if name == next(iter(lines)) else "",
            name,
            interval(error),
            f"{1e3 * np.median(seconds):.2g}",
            f"{1e3 * np.median(full):.2g}",
            found[0][3],
            f"{ratio.min():.2f}–{ratio.max():.2f}",
            found[0][4],
            pays,
        ]


def main() -> None:
    """Print the tables."""
    one_thread()
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=5, help="of the errors, 2 or more (5)")
    parser.add_argument("--timed-seeds", type=int, default=3, help="of the costs, 2 or more (3)")
    arguments = parser.parse_args()
    logging.basicConfig(level=logging.ERROR, format="%(message)s", stream=sys.stderr)
    log.setLevel(logging.INFO)
    command = shlex.join(["python", "-m", "benchmarks.bases", *sys.argv[1:]])
    about = ERRORS.format(seeds=arguments.seeds)
    print(*provenance(command), "", *textwrap.wrap(about.strip(), 118), "", sep="\n", flush=True)
    lines = []
    for title, (problem, last) in PROBLEMS.items():
        lines += error_rows(title, [errors(problem, last, seed) for seed in range(arguments.seeds)])
        log.info("%s", title)
    over = ("over one POD", "over the same, norm 1")
    columns = ("problem", "bases", "nearest", "chosen", *over, "less", "Galerkin, mean", "median")
    print(*align(columns, lines, left=(0, 1)), "", sep="\n", flush=True)
    print(*textwrap.wrap(COSTS.format(seeds=arguments.timed_seeds).strip(), 118), "", sep="\n", flush=True)
    lines = [line for title, one in PRICED.items() for line in costs(title, one, arguments.timed_seeds)]
    columns = ("problem", "bases", "error", "reduced, ms", "fastest, ms", "which one", "ratio", "after", "pays")
    print(*align(columns, lines, left=(0, 1, 5, 8)), sep="\n")


if __name__ == "__main__":
    main()
