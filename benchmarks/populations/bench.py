"""Rungs in this process: what the parts of `benchmarks.propagation` share."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from ritz.compute.evaluation.quantities.quantity import Quantity
from ritz.compute.problems.problem import Problem
from ritz.compute.uncertainty.propagation.points import Points
from ritz.compute.uncertainty.propagation.propagation import TRUTH
from ritz.compute.uncertainty.propagation.rungs import Rung
from ritz.compute.uncertainty.propagation.telescope import Answered, Wanted
from ritz.storage.store import Store
from ritz.tasks.documents import of_model
from ritz.tasks.parsing.recorded_problem import problem_of
from ritz.tasks.propagation.rungs import RungPlace, places
from ritz.tasks.propagation.worker import NETWORK, ModelRung, rung_of, solver_of


@dataclass
class Bench:
    """Rungs of a problem in this process, and what they were asked."""

    rungs: Mapping[str, Rung]
    quantities: tuple[Quantity, ...]

    def ask(self, asked: Iterable[Wanted]) -> Iterator[Answered]:
        """Answer in this process."""
        for one in asked:
            found = [self.rungs[name].timed(one.points, self.quantities) for name in one.rungs]
            yield Answered(one, tuple(values for values, _ in found), tuple(seconds for _, seconds in found))

    @property
    def leading(self) -> int:
        """Coordinates of the law."""
        return self.rungs[TRUTH].problem.leading

    def warm(self) -> None:
        """Load and compile what the first samples need."""
        for rung in self.rungs.values():
            rung.values(Points(0, np.arange(2)), self.quantities)


def of_problem(problem: Problem, rtol: float, quantities: tuple[Quantity, ...]) -> Bench:
    """Return the rungs of a problem without a model."""
    found, _ = places(problem, rtol, quantities)
    return Bench({name: rung(name, place) for name, place in found.items()}, quantities)


def of_stored(store: Store, model: str, quantities: tuple[Quantity, ...]) -> Bench:
    """Return the rungs of a model of a store."""
    card = of_model.card(store, model)
    problem = problem_of(card.recipe)
    assert problem is not None
    rtol = float(card.recipe["data"]["rtol"])
    found, _ = places(problem, rtol, quantities, ModelRung(store.url, model, card.dataset.spec, NETWORK))
    return Bench({name: rung(name, place) for name, place in found.items()}, quantities)


def rung(name: str, place: RungPlace) -> Rung:
    """Return a rung in this process."""
    if place.surrogate is not None:
        return rung_of(name, place.problem, place.surrogate)
    assert place.rtol is not None
    return rung_of(name, place.problem, (solver_of(place.problem, 0, place.rtol), place.rtol))


def reference(bench: Bench, seed: int, count: int) -> np.ndarray:
    """Return the quantities of random samples, solved, ``(count, q)``."""
    truth = bench.rungs[TRUTH]
    blocks = (Points(seed, np.arange(first, first + 200)) for first in range(0, count, 200))
    return np.concatenate([truth.values(block, bench.quantities) for block in blocks])
