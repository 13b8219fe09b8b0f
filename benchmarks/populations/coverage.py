"""Whether intervals hold, over many repetitions."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import scipy

from benchmarks.populations.bench import of_stored
from benchmarks.table import align
from ritz.compute.evaluation.quantities.fields import Largest, MeanValue
from ritz.compute.evaluation.quantities.quantity import Quantity
from ritz.compute.uncertainty.propagation.points import BASE, Points
from ritz.compute.uncertainty.propagation.propagation import TRUTH, Propagation
from ritz.compute.uncertainty.propagation.rungs import Rung
from ritz.compute.uncertainty.propagation.telescope import Answered, Wanted
from ritz.storage.store import Store
from ritz.tasks.propagation.worker import NETWORK

REPETITIONS, POPULATION = 500, 4000

COARSE = "points/4"


@dataclass(frozen=True)
class Pools:
    """Quantities of many samples on some rungs: drawn from with replacement, they are the population.

    Attributes
    ----------
    values
        ``(n, q)`` by rung.
    prices
        By rung, in solves.
    """

    values: Mapping[str, np.ndarray]
    prices: Mapping[str, float]

    def ask(self, asked: Iterable[Wanted]) -> Iterator[Answered]:
        """Answer from the pools."""
        for one in asked:
            at = _places(one.points, len(self.values[TRUTH]))
            values = tuple(self.values[name][at] for name in one.rungs)
            yield Answered(one, values, tuple(self.prices[name] * len(at) for name in one.rungs))

    def of(self, quantity: int) -> Pools:
        """Return those of one quantity."""
        return Pools({name: values[:, [quantity]] for name, values in self.values.items()}, self.prices)


def intervals(store: Store) -> Iterator[str]:
    """Count how often intervals hold, beside the usual interval of two models."""
    bench = of_stored(store, "darcy@latest", (MeanValue(of="u"), Largest(of="u")))
    values = {name: pool(bench.rungs[name], bench.quantities, POPULATION) for name in (TRUTH, COARSE, NETWORK)}
    # Prices at which each of the rungs is chosen.
    pools = Pools(values, {TRUTH: 1.0, COARSE: 0.1, NETWORK: 0.01})
    rows = [["answer", "by", "holds", "interval of that share"]]

    def add(answer: str, by: str, held: int) -> None:
        ends = scipy.stats.binomtest(held, REPETITIONS).proportion_ci(0.95, method="exact")
        rows.append([answer, by, f"{held / REPETITIONS:.1%}", f"{ends.low:.1%} to {ends.high:.1%}"])

    true = values[TRUTH].mean(axis=0)
    for names in ((TRUTH,), (TRUTH, COARSE), (TRUTH, NETWORK), tuple(values)):
        error = tuple(float(one) for one in values[TRUTH].std(axis=0) / 15)
        asked, held = Propagation(quantities=bench.quantities, error=error), np.zeros(2, int)
        for seed in range(REPETITIONS):
            found = asked.run(pools.ask, names, seed, 0).means
            assert found is not None
            held += np.abs(found.value - true) <= found.half_width
        for number, quantity in enumerate(bench.quantities):
            add(f"E[{quantity.name}]", f"the best of {', '.join(names)}", int(held[number]))
    largest = pools.of(1)
    column = largest.values[TRUTH][:, 0]
    for share in (0.05, 0.02):
        level = float(np.quantile(column, 1 - share))
        exact = float((column > level).mean())
        for names in ((TRUTH,), (TRUTH, COARSE), (TRUTH, NETWORK)):
            asked = Propagation(quantities=(bench.quantities[1],), above=level, error=0.02)
            counted = [asked.run(largest.ask, names, seed, 0).shares[0] for seed in range(REPETITIONS)]
            add(f"P = {share:.0%}", f"counts, {' and '.join(names)}", sum(o.low <= exact <= o.high for o in counted))
        for name in (COARSE, NETWORK):
            add(f"P = {share:.0%}", f"two models, {name}, 100 solves", _two_models(largest.values, name, level, exact))
    yield from align(rows[0], rows[1:], left=(0, 1))


def pool(one: Rung, quantities: Sequence[Quantity], count: int) -> np.ndarray:
    """Return the quantities of many samples on a rung, ``(count, q)``."""
    blocks = (Points(77, BASE + np.arange(first, first + 200)) for first in range(0, count, 200))
    return np.concatenate([one.values(block, quantities) for block in blocks])


def _places(points: Points, count: int) -> np.ndarray:
    """Return where in a pool the samples lie: drawn with replacement, the pool is the population."""
    mixed = points.ids.astype(np.uint64) + np.uint64(points.seed) * np.uint64(2**45)
    for shift, factor in ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB), (31, 1)):
        mixed = (mixed ^ np.right_shift(mixed, np.uint64(shift))) * np.uint64(factor)
    return np.asarray(mixed % np.uint64(count)).astype(np.int64)


def _two_models(pools: Mapping[str, np.ndarray], name: str, level: float, exact: float) -> int:
    """Count how often the usual interval holds: a share of many predictions and the mean difference in 100 solves."""
    held = 0
    for seed in range(REPETITIONS):
        generator = np.random.default_rng(seed)
        at = generator.integers(len(pools[TRUTH]), size=100)
        cheap = float((pools[name][:, 0] > level).mean())
        difference = (pools[TRUTH][at, 0] > level).astype(float) - (pools[name][at, 0] > level)
        middle, reach = cheap + difference.mean(), 1.96 * difference.std(ddof=1) / 10
        held += abs(middle - exact) <= reach
    return held
