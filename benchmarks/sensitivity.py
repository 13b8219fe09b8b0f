"""Indices of sensitivity: errors by design, intervals that hold, transport by sorting, a problem with cheap models.

python -m benchmarks.sensitivity > benchmarks/sensitivity.txt                # about 8 minutes on one core
python -m benchmarks.sensitivity --seeds 20
"""

from __future__ import annotations

import argparse
import logging
import shlex
import sys
import textwrap
from collections.abc import Callable
from unittest import mock

import numpy as np
import scipy

from benchmarks.indices.darcy import LED, SOLVES, of_a_problem
from benchmarks.indices.known import KNOWN, Known, width
from benchmarks.table import align, provenance
from benchmarks.threads import one_thread
from ritz.compute.uncertainty.sensitivity.design import picked
from ritz.compute.uncertainty.sensitivity.sobol import SobolIndices
from ritz.compute.uncertainty.sensitivity.transport import TransportSensitivity, squared_distance

log = logging.getLogger("benchmarks")

GOAL = 0.003


def scrambled(rule: SobolIndices, dimensions: int, seed: int, random: bool) -> np.ndarray:
    """Return the design of a rule with points of SciPy's scrambling, or pseudo-random ones."""
    numbers = np.random.default_rng(seed)
    if random:
        return picked(numbers.random((rule.points * rule.replicates, 2 * dimensions)))
    nets = [
        scipy.stats.qmc.Sobol(2 * dimensions, scramble=True, rng=one).random(rule.points) + 2.0**-31
        for one in numbers.spawn(rule.replicates)
    ]
    return picked(np.concatenate(nets))


def by_salib(known: Known, seed: int) -> float:
    """Return the largest error of SALib's indices."""
    from SALib.analyze import sobol as analysis
    from SALib.sample import sobol as sampling

    count = len(known.first)
    problem = {"num_vars": count, "names": [str(i) for i in range(count)], "bounds": [[0, 1]] * count}
    points = sampling.sample(problem, 4096, calc_second_order=False, seed=seed)
    points = np.clip(points, 2.0**-31, 1 - 2.0**-31)
    found = analysis.analyze(problem, known.function(points)[:, 0], calc_second_order=False, num_resamples=2, seed=seed)
    return float(max(np.abs(found["S1"] - known.first).max(), np.abs(found["ST"] - known.total).max()))


def errors(seeds: int) -> list[list[str]]:
    """Return the errors of the indices by function and design."""
    rules = {(points, 4096 // points): SobolIndices(points=points, replicates=4096 // points) for points in (4096, 512)}

    def with_points(rule: SobolIndices, random: bool) -> Callable[[Known, int], float]:
        return lambda known, seed: known.error(
            rule.indices(known.function(scrambled(rule, len(known.first), seed, random)))
        )

    def own(rule: SobolIndices) -> Callable[[Known, int], float]:
        return lambda known, seed: known.error(rule.analyse(known.function, len(known.first), seed))

    whole, parts = rules[4096, 1], rules[512, 8]
    designs: dict[str, Callable[[Known, int], float]] = {
        "Ritz, 1 × 4096": own(whole),
        "Ritz, 8 × 512": own(parts),
        "SciPy's scrambling, 1 × 4096": with_points(whole, False),
        "SciPy's scrambling, 8 × 512": with_points(parts, False),
        "SALib, 4096": by_salib,
        "pseudo-random, 4096": with_points(whole, True),
    }
    lines = []
    for known in KNOWN:
        for name, measure in designs.items():
            found = np.array([measure(known, seed) for seed in range(seeds)])
            lines.append(
                [
                    known.name if name == "Ritz, 1 × 4096" else "",
                    name,
                    f"{np.median(found):.4f}",
                    f"{np.quantile(found, 0.9):.4f}",
                    f"{found.max():.4f}",
                    f"{100 * np.mean(found <= GOAL):.0f} %",
                ]
            )
        log.info("errors of %s", known.name)
    return lines


def coverages(repeats: int) -> list[list[str]]:
    """Return how often intervals hold, by function, model and number of evaluations."""
    lines = []

    def line(known: Known, name: str, count: str, hold: list[np.ndarray], widths: list[float], plain: str) -> None:
        shares = 100 * np.mean(hold, axis=0)
        middle = f"{np.mean(shares):.1f}"
        lines.append([known.name, name, count, middle, f"{shares.min():.1f}", f"{np.median(widths):.3f}", plain])

    for known in KNOWN:
        dimensions = len(known.first)
        for points, replicates in ((64, 8), (512, 8), (512, 1)):
            rule = SobolIndices(points=points, replicates=replicates)
            found = [rule.analyse(known.function, dimensions, seed) for seed in range(repeats)]
            held, wide = [known.inside(one) for one in found], [width(one) for one in found]
            line(known, "itself", f"{replicates} × {points}", held, wide, "")
        rule = SobolIndices(points=128, replicates=8)
        for name, model in (("close", known.close), ("wrong", known.wrong)):
            for solves in (8, 16, 32, 64):
                # The limit is lifted to show what it is for.
                with mock.patch("ritz.compute.uncertainty.sensitivity.sobol.LEAST", 2):
                    both = [
                        rule.analyse_corrected(model, known.function, dimensions, seed, solves)
                        for seed in range(repeats)
                    ]
                plain = 100 * np.mean([known.inside(one.cheap) for one in both])
                held, wide = [known.inside(one.indices) for one in both], [width(one.indices) for one in both]
                line(known, name, str(solves), held, wide, f"{plain:.1f}")
        log.info("coverages of %s", known.name)
    return lines


def limit(known: Known, classes: int = 200, count: int = 20_000) -> list[float]:
    """Return the transport indices of many samples and classes, with the coordinate held in each class."""
    numbers = np.random.default_rng(12)
    dimensions = len(known.first)
    whole = np.sort(known.function(numbers.random((10 * count, dimensions)))[:, 0])
    found = []
    for axis in range(dimensions):
        distances = []
        for level in (np.arange(classes) + 0.5) / classes:
            points = numbers.random((count, dimensions))
            points[:, axis] = level
            distances.append(squared_distance(whole, np.sort(known.function(points)[:, 0])))
        found.append(float(np.mean(distances)) / (2 * float(whole.var())))
    return found


def transported(seeds: int) -> list[list[str]]:
    """Return transport indices beside their limits; one more coordinate is without influence."""
    lines = []
    closed = {"linear, normal": 1 - np.sqrt(1 - KNOWN[2].first)}
    for known in (KNOWN[0], KNOWN[2]):
        dimensions = len(known.first)
        exact = [*(closed[known.name] if known.name in closed else limit(known)), 0.0]
        for classes in (16, 32, 64):
            rule, rows, noises = TransportSensitivity(classes=classes), [], []
            for seed in range(seeds):
                points = np.random.default_rng(seed).random((4096, dimensions + 1))
                found = rule.analyse(points, known.function(points[:, :dimensions]), seed)
                rows.append(found.value[0])
                noises.append(found.noise[0])
            values = np.array(rows)
            ranks = [np.array_equal(np.argsort(-row)[:2], np.argsort(-known.first)[:2]) for row in values]
            shown = ", ".join(f"{one:.3f}" for one in values.mean(axis=0))
            lines.append(
                [
                    known.name if classes == 16 else "",
                    str(classes),
                    shown,
                    ", ".join(f"{one:.3f}" for one in exact),
                    f"{np.abs(values - exact).max():.3f}",
                    f"{np.abs(values[:, -1]).max():.4f}",
                    f"{np.mean(noises):.4f}",
                    f"{100 * np.mean(ranks):.0f} %",
                ]
            )
        log.info("transport indices of %s", known.name)
    return lines


def said(text: str) -> None:
    print("", *textwrap.wrap(" ".join(text.split()), 118), "", sep="\n", flush=True)


def main() -> None:
    """Print the tables."""
    one_thread()
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=100)
    arguments = parser.parse_args()
    logging.basicConfig(level=logging.ERROR, format="%(message)s", stream=sys.stderr)
    log.setLevel(logging.INFO)
    seeds: int = arguments.seeds
    print(*provenance(shlex.join(["python", "-m", "benchmarks.sensitivity", *sys.argv[1:]])), sep="\n", flush=True)
    said(
        f"""Largest error of all first-order and total Sobol' indices with 4096 base points, over {seeds} seeds. Ritz:
        Sobol' points with a digital shift, one net of 4096 or 8 replicates of 512 (which give intervals). SciPy's
        scrambling: a random matrix and a shift; SALib uses it too. goal: {GOAL} for Ishigami."""
    )
    columns = ("function", "points", "median", "ninth decile", "largest", f"≤ {GOAL}")
    print(*align(columns, errors(seeds), left=(0, 1)), sep="\n", flush=True)
    said(
        f"""How often intervals of 95 % hold, percent over {seeds} seeds: the mean over all indices, and the index with
        the fewest; the median of the mean width. itself: the function by replicates × base points. close and wrong: by
        a model of it with 8 × 128 base points, corrected by so many base points with values of both (`SobolIndices`
        refuses fewer than 32). model alone: how often the intervals of the model's own indices hold the
        indices of the function."""
    )
    columns = ("function", "by", "base points", "hold", "fewest", "width", "model alone")
    print(*align(columns, coverages(seeds), left=(0, 1)), sep="\n", flush=True)
    said(
        f"""Transport-based indices by sorting, 4096 samples, {seeds} seeds: the mean, the last coordinate without
        influence; the limit (closed form of the linear function, else by 20 000 samples in each of 200 values of the
        coordinate); the largest error; the largest size of the index without influence; the printed noise; how often
        the first two rank as Sobol's do."""
    )
    columns = ("function", "classes", "indices", "limit", "largest error", "idle", "noise", "ranks")
    print(*align(columns, transported(seeds), left=(0, 2, 3)), sep="\n", flush=True)
    said(
        f"""Darcy 32², log-normal: Sobol' indices in its {LED} leading coordinates and in all the rest of a draw
        together, with intervals of 95 %: by the solver, by cheap models alone, and by these corrected by {SOLVES} base
        points ({SOLVES * (LED + 3)} solves; the solver took {4096 * (LED + 3)}). quadratic: a regression of 200
        solves."""
    )
    repeats = max(2, seeds // 5)
    lines, held = of_a_problem(repeats)
    columns = ("quantity", "index", "by", *(f"coordinate {i + 1}" for i in range(LED)), "the rest")
    print(*align(columns, lines, left=(0, 1, 2)), sep="\n")
    said(
        f"""How often these intervals hold the solver's estimates, over {repeats} sets of solves, and how wide they are.
        solves alone: the width by as many solves without a model."""
    )
    columns = ("quantity", "model", "alone", "width", "corrected", "width", "solves alone")
    print(*align(columns, held, left=(0, 1)), sep="\n")


if __name__ == "__main__":
    main()
