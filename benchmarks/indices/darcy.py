"""Indices of a problem by its solver, by cheap models, and by these with some solves."""

from __future__ import annotations

import logging
from collections.abc import Mapping

import numpy as np

from benchmarks.indices.known import inside, width
from ritz.compute.problems.darcy import Darcy
from ritz.compute.simulation.quickest import quickest
from ritz.compute.simulation.simulate import simulate
from ritz.compute.surrogates.fitted.pca_ridge import PCARidge
from ritz.compute.surrogates.model import Model
from ritz.compute.surrogates.normalisation import Normalisation
from ritz.compute.uncertainty.sensitivity.coordinates import inputs_at
from ritz.compute.uncertainty.sensitivity.sobol import CorrectedIndices, Function, Indices, SobolIndices

log = logging.getLogger("benchmarks")

RTOL, SOLVES = 1e-8, 32

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
