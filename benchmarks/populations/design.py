"""Mean and spread as in industrial design: many predictions and some solves."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import scipy

from benchmarks.populations.bench import Bench, of_stored, reference
from benchmarks.table import align
from ritz.compute.evaluation.quantities.fields import MeanValue
from ritz.compute.uncertainty.propagation.points import BASE, Points
from ritz.compute.uncertainty.propagation.propagation import TRUTH
from ritz.storage.store import Store
from ritz.tasks.propagation.worker import NETWORK, QUADRATIC

COARSE = "points/4"


def design(store: Store) -> Iterator[str]:
    """Estimate mean and spread as in industrial design: 1000 predictions and 100 solves, beside 2000 solves."""
    quantity = MeanValue(of="u")
    bench = of_stored(store, "elliptic@latest", (quantity,))
    bench.warm()
    many = reference(bench, 77, 2000)[:, 0]
    mean, spread = float(many.mean()), float(many.std(ddof=1))
    rows = [["by", "mean within 2 %", "sd within 2 %", "mean's interval", "sd's interval", "solver s", "all s"]]
    for cheap in (None, NETWORK, QUADRATIC, COARSE):
        near, held, seconds = np.zeros(2, int), np.zeros(2, int), []
        for seed in range(100):
            one = _of_design(bench, cheap, seed)
            near += np.abs([one.mean - mean, one.sd - spread]) <= 0.02 * spread
            error = np.array([spread / np.sqrt(2000), spread / np.sqrt(4000)]) * 1.96
            held += np.abs([one.mean - mean, one.sd - spread]) <= np.array(one.reach) + error
            seconds.append((one.solver, one.solver + one.cheap))
        solver, both = np.median(np.array(seconds), axis=0)
        label = "100 solves" if cheap is None else f"100 solves, 1000 of {cheap}"
        rows.append([label, f"{near[0]} of 100", f"{near[1]} of 100", f"{held[0]} of 100", f"{held[1]} of 100"])
        rows[-1] += [f"{solver:.2f}", f"{both:.2f}"]
    yield f"mean {mean:.5g}, sd {spread:.5g} of 2000 solves; 2 % are of the sd, since the mean is about zero"
    yield from align(rows[0], rows[1:], left=(0,))


@dataclass(frozen=True)
class _Designed:
    mean: float
    sd: float
    reach: tuple[float, float]
    solver: float
    cheap: float


def _of_design(bench: Bench, cheap: str | None, seed: int) -> _Designed:
    """Estimate the mean and the standard deviation by control variates of the value and of its square."""
    points = Points(seed, BASE + np.arange(100))
    true, solver = bench.rungs[TRUTH].timed(points, bench.quantities)
    truth = true[:, 0]
    if cheap is None:
        first, second = truth, (truth - truth.mean()) ** 2
        base = np.zeros((2, 100)), np.zeros((2, 1000)), 0.0
    else:
        near, short = bench.rungs[cheap].timed(points, bench.quantities)
        far, long = bench.rungs[cheap].timed(Points(seed, BASE + 1000 + np.arange(1000)), bench.quantities)
        first, second = truth, (truth - truth.mean()) ** 2
        middle = float(far.mean())
        squares = (np.stack([one[:, 0], (one[:, 0] - middle) ** 2]) for one in (near, far))
        base = (*squares, short + long)
    found, reach = [], []
    for values, small, large in zip((first, second), base[0], base[1], strict=True):
        beta = float(np.cov(values, small)[0, 1] / small.var(ddof=1)) if small.any() else 0.0
        rest = values - beta * small
        variance = rest.var(ddof=1) / len(rest) + beta**2 * large.var(ddof=1) / len(large)
        found.append(float(rest.mean() + beta * large.mean()))
        reach.append(float(scipy.stats.t.ppf(0.975, 99) * np.sqrt(variance)))
    sd = float(np.sqrt(max(found[1], 0.0) * 100 / 99)) if cheap is None else float(np.sqrt(max(found[1], 0.0)))
    return _Designed(found[0], sd, (reach[0], reach[1] / (2 * sd)), solver, base[2])
