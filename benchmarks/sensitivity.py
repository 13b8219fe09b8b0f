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
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from unittest import mock

import numpy as np
import scipy

from benchmarks.table import align, provenance
from benchmarks.threads import one_thread
from ritz.compute.problems.darcy import Darcy
from ritz.compute.simulation.quickest import quickest
from ritz.compute.simulation.simulate import simulate
from ritz.compute.surrogates.fitted.pca_ridge import PCARidge
from ritz.compute.surrogates.model import Model
from ritz.compute.surrogates.normalisation import Normalisation
from ritz.compute.uncertainty.sensitivity.coordinates import inputs_at
from ritz.compute.uncertainty.sensitivity.design import picked
from ritz.compute.uncertainty.sensitivity.sobol import CorrectedIndices, Function, Indices, SobolIndices
from ritz.compute.uncertainty.sensitivity.transport import TransportSensitivity, squared_distance

log = logging.getLogger("benchmarks")

GOAL, RTOL, SOLVES = 0.003, 1e-8, 32


@dataclass(frozen=True)
class Known:
    """A function of coordinates in (0, 1) with known indices, a model of it that is close, and one that is wrong."""

    name: str
    function: Function
    first: np.ndarray
    total: np.ndarray
    close: Function
    wrong: Function

    def error(self, found: Indices) -> float:
        """Return the largest error of an index."""
        pairs = ((found.first, self.first), (found.total, self.total))
        return max(float(np.abs(one.value[0] - true).max()) for one, true in pairs)

    def inside(self, found: Indices) -> np.ndarray:
        """Return which intervals hold, first-order before total."""
        return inside(found, self.first, self.total)


def inside(found: Indices, first: np.ndarray, total: np.ndarray, row: int = 0) -> np.ndarray:
    pairs = ((found.first, first), (found.total, total))
    return np.concatenate([(one.low[row] <= true + 1e-12) & (true <= one.high[row]) for one, true in pairs])


def width(found: Indices, row: int = 0) -> float:
    """Return the mean width of the intervals."""
    return float(np.mean([one.high[row] - one.low[row] for one in (found.first, found.total)]))


def ishigami() -> Known:
    def of(a: float, b: float, c: float) -> Function:
        def function(points: np.ndarray) -> np.ndarray:
            x, y, z = (np.pi * (2 * points[:, :3] - 1)).T
            return np.asarray(a + np.sin(x) + b * np.sin(y) ** 2 + c * z**4 * np.sin(x))[:, None]

        return function

    one, two, both = 0.5 * (1 + 0.1 * np.pi**4 / 5) ** 2, 49 / 8, 0.01 * np.pi**8 * (1 / 18 - 1 / 50)
    first, total = np.array([one, two, 0]), np.array([one + both, two, both])
    variance = one + two + both
    return Known("Ishigami", of(0, 7, 0.1), first / variance, total / variance, of(0, 6.8, 0.095), of(20, 4, 0))


def products() -> Known:
    def of(weights: np.ndarray) -> Function:
        return lambda points: np.prod((np.abs(4 * points - 2) + weights) / (1 + weights), axis=1)[:, None]

    weights = np.array([0, 1, 4.5, 9, 99, 99])
    parts = 1 / 3 / (1 + weights) ** 2
    variance = np.prod(1 + parts) - 1
    total = parts * np.prod(1 + parts) / (1 + parts) / variance
    return Known("g of Sobol'", of(weights), parts / variance, total, of(weights + 0.1), of(weights[::-1]))


def normal() -> Known:
    def of(weights: np.ndarray, square: float) -> Function:
        def function(points: np.ndarray) -> np.ndarray:
            x = scipy.special.ndtri(points)
            return np.asarray(x @ weights + square * x[:, 0] ** 2)[:, None]

        return function

    weights = np.array([4, 2, 1, 0.5, 0.1])
    shares = weights**2 / np.sum(weights**2)
    return Known("linear, normal", of(weights, 0), shares, shares, of(weights, 0.2), of(weights[::-1], 1))


def lognormal() -> Known:
    def of(weights: np.ndarray) -> Function:
        return lambda points: np.exp(scipy.special.ndtri(points) @ weights)[:, None]

    weights = np.array([0.8, 0.5, 0.3, 0.1])
    variance = np.exp(np.sum(weights**2)) - 1
    first = (np.exp(weights**2) - 1) / variance
    total = first * np.exp(np.sum(weights**2) - weights**2)
    return Known("product, log-normal", of(weights), first, total, of(0.95 * weights), of(weights[::-1]))


KNOWN = (ishigami(), products(), normal(), lognormal())


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
    closed = {"linear, normal": 1 - np.sqrt(1 - normal().first)}
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


LED = 5
"""Leading coordinates of the problem; one more is all the rest of a draw."""


class Solved:
    """Quantities of a problem as functions of coordinates: the mean and the largest value of u."""

    def __init__(self, cells: int) -> None:
        self.problem = Darcy(shape=(cells, cells))
        self.solver = quickest(self.problem, self.problem.draw(0, np.arange(4)), RTOL)

    def __call__(self, points: np.ndarray) -> np.ndarray:
        parts = []
        for part in np.array_split(points, max(1, len(points) // 512)):
            fields, ledger = simulate(self.problem, inputs_at(self.problem, 0, part), self.solver, RTOL)
            if set(ledger["status"]) != {"ok"}:
                raise RuntimeError("a sample was not solved")
            parts.append(quantities(fields["u"]))
        return np.concatenate(parts)


def quantities(u: np.ndarray) -> np.ndarray:
    flat = np.asarray(u, np.float64).reshape(len(u), -1)
    return np.stack([flat.mean(axis=1), flat.max(axis=1)], axis=1)


def regression(truth: Solved) -> Function:
    """Return a quadratic regression of 200 solves."""
    problem = truth.problem
    inputs = problem.draw(1, np.arange(200))
    fields, _ = simulate(problem, inputs, truth.solver, RTOL)
    samples = {name: np.asarray(values, np.float32) for name, values in (inputs | fields).items()}
    model = Model.fitted(PCARidge(degree=2), Normalisation.fit(problem.template(1), samples), [samples])

    def function(points: np.ndarray) -> np.ndarray:
        return np.concatenate(
            [
                quantities(model.predict(inputs_at(problem, 0, part))["u"])
                for part in np.array_split(points, max(1, len(points) // 512))
            ]
        )

    return function


def of_a_problem(repeats: int) -> tuple[list[list[str]], list[list[str]]]:
    """Return the indices of the problem by its solver and by cheap models, and how often the corrected ones hold."""
    truth = Solved(32)
    models: Mapping[str, Function] = {"grid 8²": Solved(8), "quadratic": regression(truth)}
    exact = SobolIndices(points=512).analyse(truth, LED + 1, seed=0)
    log.info("the problem is solved")
    rule, lines, held = SobolIndices(points=128), [], []

    def line(name: str, quantity: int, sort: str, found: Indices) -> None:
        one = getattr(found, sort)
        ends = zip(one.value[quantity], one.low[quantity], one.high[quantity], strict=True)
        lines.append([("mean u", "max u")[quantity], sort, name, *(f"{v:.2f} [{a:.2f}, {b:.2f}]" for v, a, b in ends)])

    corrected: dict[str, list[CorrectedIndices]] = {}
    for name, model in models.items():
        values = model(rule.design(LED + 1, 1))
        corrected[name] = []
        for seed in range(1, repeats + 1):
            points = rule.check_points(LED + 1, seed, SOLVES)
            corrected[name].append(rule.corrected(values, model(points), truth(points)))
        log.info("%s is corrected", name)
    for quantity in range(2):
        for sort in ("first", "total"):
            line("solver, 8 × 512", quantity, sort, exact)
            for name, found in corrected.items():
                line(f"{name} alone, 8 × 128", quantity, sort, found[0].cheap)
                line(f"corrected by {SOLVES}", quantity, sort, found[0].indices)
                line("its bias", quantity, sort, found[0].bias)
    for quantity in range(2):
        true = (exact.first.value[quantity], exact.total.value[quantity])
        for name, found in corrected.items():
            alone, right = (
                100 * np.mean([inside(one, *true, quantity) for one in sets])
                for sets in ([one.cheap for one in found], [one.indices for one in found])
            )
            widths = [float(np.median([width(one, quantity) for one in sets])) for sets in (
                [one.cheap for one in found], [one.indices for one in found]
            )]  # fmt: skip
            few = SobolIndices(points=SOLVES, replicates=1).analyse(truth, LED + 1, seed=1)
            cells = [f"{alone:.0f} %", f"{widths[0]:.3f}", f"{right:.0f} %", f"{widths[1]:.3f}"]
            held.append([("mean u", "max u")[quantity], name, *cells, f"{width(few, quantity):.3f}"])
    return lines, held


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
