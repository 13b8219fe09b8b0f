"""What is chosen and what it costs, beside plain Monte Carlo."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator

import numpy as np

from benchmarks.populations.bench import Bench, of_problem, of_stored, reference
from benchmarks.table import align
from ritz.compute.evaluation.quantities.fields import Integral, Largest, MeanValue, Norm
from ritz.compute.evaluation.quantities.wall import WallFlux
from ritz.compute.problems.cookies import Cookies
from ritz.compute.uncertainty.propagation.points import BASE, Points
from ritz.compute.uncertainty.propagation.propagation import TRUTH, Propagated, Propagation
from ritz.storage.store import Store
from ritz.tasks.propagation.worker import NETWORK

log = logging.getLogger("benchmarks")

COOKIES = 0.0642023672
"""E[Q] of the cookies, as published."""


def means(store: Store) -> Iterator[str]:
    """Compare the chosen chain with plain Monte Carlo at equal width, on Darcy and Burgers."""
    cases = (
        ("darcy", MeanValue(of="u"), 10_000, 20_000),
        ("darcy", WallFlux(of="u", wall="x_high"), 10_000, 20_000),
        ("burgers", Norm(of="u"), 4_000, 5_000),
        ("burgers", Largest(of="u"), 4_000, 5_000),
    )
    rows = [["model", "quantity", "±", "taken", "s", "plain s", "÷", "mean", "of other solves", "holds"]]
    tables = []
    for name, quantity, solves, others in cases:
        model, quantities = f"{name}@latest", (quantity,)
        bench = of_stored(store, model, quantities)
        bench.warm()
        spread = float(reference(bench, 78, 400).std(ddof=1))
        asked = Propagation(quantities=quantities, error=float(f"{1.96 * spread / np.sqrt(solves):.2g}"))
        found, chosen, plain = [], [], []
        for turn in range(3):
            seed = 1000 + turn
            begun = time.process_time()
            found.append(asked.run(bench.ask, list(bench.rungs), seed, bench.leading))
            chosen.append(time.process_time() - begun)
            plain.append(_plain(bench, asked, seed))
            log.info("%s %s: %.1f s against %.1f s", name, quantity.name, chosen[-1], plain[-1])
        true = reference(bench, 77, others)
        middle, own = float(true.mean()), float(true.std(ddof=1) / np.sqrt(len(true)))
        last = found[-1]
        assert last.means is not None
        assert last.chain is not None
        # The reference has an error of its own.
        held = sum(abs(one.means.value[0] - middle) <= one.means.half_width[0] + 1.96 * own for one in found)
        rows.append(
            [
                model,
                quantity.name,
                f"{asked.error:g}",
                " + ".join(last.chain.rungs),
                f"{np.median(chosen):.2f}",
                f"{np.median(plain):.2f}",
                f"{np.median(plain) / np.median(chosen):.1f}",
                f"{last.means.value[0]:.6g}",
                f"{middle:.6g} ± {1.96 * own:.1g}",
                f"{held} of {len(found)}",
            ]
        )
        tables += [f"{model}, {quantity.name}:", *_rungs(last), ""]
    yield from align(rows[0], rows[1:], left=(0, 1, 3))
    yield ""
    yield from tables


def _plain(bench: Bench, asked: Propagation, seed: int) -> float:
    """Return the processor seconds of plain Monte Carlo for the same width, without a pilot."""
    begun = time.process_time()
    targets = asked.targets()
    assert targets is not None
    values, first = np.empty((0, len(bench.quantities))), 0
    while True:
        points = Points(seed, BASE + np.arange(first, first + 64))
        values = np.concatenate([values, bench.rungs[TRUTH].values(points, bench.quantities)])
        first += 64
        if len(values) >= 128 and np.all(1.96 * values.std(axis=0, ddof=1) / np.sqrt(len(values)) <= targets):
            return time.process_time() - begun


def _rungs(found: Propagated) -> list[str]:
    pilot = found.pilot
    rows = [["rung", "ms", "solves", "ρ²", "low", "high"]]
    price = pilot.prices[pilot.truth]
    for name in pilot.prices:
        rho2 = pilot.squared_correlation(pilot.truth, name)[0]
        low, high = (end[0] for end in pilot.squared_correlation_interval(pilot.truth, name))
        ends = ["", "", ""] if name == pilot.truth else [f"{rho2:.5f}", f"{low:.5f}", f"{high:.5f}"]
        rows.append([name, f"{1e3 * pilot.prices[name]:.3g}", f"{pilot.prices[name] / price:.3g}", *ends])
    return align(rows[0], rows[1:], left=(0,))


def cookies(store: Store) -> Iterator[str]:
    """Estimate the published mean of the cookies by grids up to 160²."""
    del store
    quantity = Integral(of="u", low=(0.4, 0.4), high=(0.6, 0.6))
    bench = of_problem(Cookies(shape=(160, 160)), 1e-8, (quantity,))
    bench.warm()
    rows = [["turn", "taken", "samples", "s", "E[Q]", "±", "off by"]]
    for turn in range(5):
        begun = time.process_time()
        found = Propagation(quantities=(quantity,), error=6e-5).run(bench.ask, list(bench.rungs), turn, bench.leading)
        spent = time.process_time() - begun
        assert found.means is not None
        assert found.chain is not None
        mean, width = found.means.value[0], found.means.half_width[0]
        counts = ", ".join(map(str, found.means.samples))
        taken = " + ".join(found.chain.rungs)
        rows.append([str(turn), taken, counts, f"{spent:.2f}", f"{mean:.6f}", f"{width:.1g}"])
        rows[-1].append(f"{mean / COOKIES - 1:+.2%}")
    yield from align(rows[0], rows[1:], left=(1, 2))


def threshold(store: Store) -> Iterator[str]:
    """Judge samples against a threshold, with and without a cheap rung: the same answer?"""
    quantity = Largest(of="u")
    bench = of_stored(store, "darcy@latest", (quantity,))
    bench.warm()
    true = reference(bench, 77, 4000)
    rows = [["P", "rungs", "screen", "samples", "above", "interval", "solved", "s", "solve all, s", "same"]]
    for share in (0.05, 0.02):
        level = float(np.quantile(true, 1 - share))
        for names in (list(bench.rungs), [TRUTH, NETWORK]):
            asked = Propagation(quantities=(quantity,), above=level, error=0.01)
            begun = time.process_time()
            found = asked.run(bench.ask, names, 5, bench.leading)
            spent = time.process_time() - begun
            begun = time.process_time()
            all_solved = asked.run(bench.ask, [TRUTH], 5, bench.leading)
            plain = time.process_time() - begun
            [one], [other] = found.shares, all_solved.shares
            screen = found.screen[0]
            rows.append(
                [
                    f"{share:.0%}",
                    "all" if len(names) > 2 else "the network alone",
                    "none pays" if screen is None else screen.rung,
                    str(one.samples),
                    str(one.above),
                    f"{one.low:.3f} to {one.high:.3f}",
                    f"{one.solved / one.samples:.1%}",
                    f"{spent:.2f}",
                    f"{plain:.2f}",
                    "yes" if (one.above, one.samples) == (other.above, other.samples) else "NO",
                ]
            )
    yield from align(rows[0], rows[1:], left=(1, 2))
