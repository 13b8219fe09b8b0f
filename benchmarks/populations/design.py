"""Mean and spread as in industrial design: many predictions and some solves."""

from __future__ import annotations

import time
from collections.abc import Iterator

import numpy as np
import scipy

from benchmarks.populations.bench import of_stored
from benchmarks.populations.coverage import COARSE, pool
from benchmarks.table import align
from ritz.compute.evaluation.quantities.fields import MeanValue
from ritz.compute.uncertainty.propagation.propagation import TRUTH
from ritz.storage.store import Store
from ritz.tasks.propagation.worker import NETWORK, QUADRATIC

SOLVES, PREDICTIONS, POPULATION, REPETITIONS = 100, 1000, 2000, 100


def design(store: Store) -> Iterator[str]:
    """Estimate mean and spread of a population by some of its solves and many cheap answers."""
    bench = of_stored(store, "elliptic@latest", (MeanValue(of="u"),))
    bench.warm()
    values, prices = {}, {}
    for name in (TRUTH, NETWORK, QUADRATIC, COARSE):
        begun = time.process_time()
        values[name] = pool(bench.rungs[name], bench.quantities, POPULATION)[:, 0]
        prices[name] = (time.process_time() - begun) / POPULATION
    mean, spread = float(values[TRUTH].mean()), float(values[TRUTH].std())
    rows = [["by", "mean within 2 %", "sd within 2 %", "mean's interval", "sd's interval", "solver s", "all s", "÷"]]
    for cheap in (None, NETWORK, QUADRATIC, COARSE):
        near, held = np.zeros(2, int), np.zeros(2, int)
        for seed in range(REPETITIONS):
            found, reach = _estimated(values[TRUTH], None if cheap is None else values[cheap], seed)
            off = np.abs(found - [mean, spread])
            near += off <= 0.02 * spread
            held += off <= reach
        solver = SOLVES * prices[TRUTH]
        whole = solver if cheap is None else solver + (SOLVES + PREDICTIONS) * prices[cheap]
        label = f"{SOLVES} solves" if cheap is None else f"{SOLVES} solves, {PREDICTIONS} of {cheap}"
        counts = [f"{count} of {REPETITIONS}" for count in (*near, *held)]
        rows.append([label, *counts, f"{solver:.2f}", f"{whole:.2f}", f"{POPULATION * prices[TRUTH] / whole:.1f}"])
    yield f"mean {mean:.5g}, sd {spread:.5g} of all {POPULATION} solves"
    yield from align(rows[0], rows[1:], left=(0,))


def _estimated(truth: np.ndarray, cheap: np.ndarray | None, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Return mean and standard deviation, and how far their intervals reach, ``(2,)`` each.

    The cheap values and their squares are control variates of the true ones.
    """
    generator = np.random.default_rng(seed)
    few, many = (generator.integers(len(truth), size=count) for count in (SOLVES, PREDICTIONS))
    centre = float(truth[few].mean())
    found, reach = np.empty(2), np.empty(2)
    for number, power in enumerate((1, 2)):
        rest, more = (truth[few] - centre) ** power, np.zeros(1)
        if cheap is not None:
            small, large = ((cheap[at] - cheap[many].mean()) ** power for at in (few, many))
            beta = float(np.cov(rest, small)[0, 1] / small.var(ddof=1))
            rest, more = rest - beta * small, beta * large
        found[number] = rest.mean() + more.mean()
        variance = rest.var(ddof=1) / len(rest) + more.var() / len(more)
        reach[number] = scipy.stats.t.ppf(0.975, SOLVES - 1) * np.sqrt(variance)
    sd = float(np.sqrt(max(found[1], 0.0)))
    return np.array([centre + found[0], sd]), np.array([reach[0], reach[1] / (2 * sd)])
