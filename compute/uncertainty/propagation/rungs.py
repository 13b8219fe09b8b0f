"""What answers a quantity of a sample at a price: the truth, coarser grids, surrogates."""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from ritz.compute.evaluation.quantities.quantity import Quantity
from ritz.compute.problems.problem import Arrays, Problem
from ritz.compute.simulation.simulate import simulate
from ritz.compute.uncertainty.propagation.laws.input_law import FittedInputLaw
from ritz.compute.uncertainty.propagation.points import Points
from ritz.compute.uncertainty.spread.defect import RTOL, step

if TYPE_CHECKING:
    from ritz.compute.simulation.reduced.reduced import ReducedModel
    from ritz.compute.solvers.solver import Solver
    from ritz.compute.surrogates.model import Model


class SolveFailed(ValueError):
    """A sample has no solution on a rung; the estimate would be that of another population without it."""


@dataclass(frozen=True)
class Rung(ABC):
    """Something that answers quantities of samples: the same points are the same samples on every rung.

    Attributes
    ----------
    name
        By which it is asked for.
    problem
        On the grid of its fields.
    law
        Of the inputs on this grid; None for that of the problem.
    """

    name: str
    problem: Problem
    law: FittedInputLaw | None = field(default=None, kw_only=True)

    @abstractmethod
    def fields(self, inputs: Arrays) -> Arrays:
        """Return the outputs of samples with given inputs, ``(n, *dims)``."""

    def values(self, points: Points, quantities: Sequence[Quantity]) -> np.ndarray:
        """Return the quantities of samples, ``(n, q)`` float64.

        Raises
        ------
        SolveFailed
            If one of them is not finite.
        """
        inputs = drawn(self.problem, points, self.law)
        fields = self.fields(inputs)
        found = np.stack([one.value(self.problem, inputs, fields) for one in quantities], axis=1, dtype=np.float64)
        bad = np.flatnonzero(~np.isfinite(found).all(axis=1))
        if len(bad):
            raise SolveFailed(f"rung {self.name!r} has no answer for the samples {points.ids[bad[:5]].tolist()}")
        return found

    def timed(self, points: Points, quantities: Sequence[Quantity]) -> tuple[np.ndarray, float]:
        """Return `values`, and the seconds of wall time that they took."""
        begun = time.perf_counter()
        found = self.values(points, quantities)
        return found, time.perf_counter() - begun


def drawn(problem: Problem, points: Points, law: FittedInputLaw | None = None) -> Arrays:
    """Return the inputs of samples on the grid of a problem, by its own law or another one.

    Raises
    ------
    ValueError
        If coordinates are given that the law does not take.
    """
    if law is None:
        return problem.draw_at(points.seed, points.ids, points.given)
    if points.given is not None:
        raise ValueError(f"a law of stored samples takes no coordinates, got {points.given.shape[1]}")
    return law.draw(points.seed, points.ids)


@dataclass(frozen=True)
class SolvedRung(Rung):
    """The problem, solved: the truth, or a coarser twin.

    Attributes
    ----------
    solver, rtol
        How its systems are solved.
    """

    solver: Solver
    rtol: float

    def fields(self, inputs: Arrays) -> Arrays:
        """Solve the samples one after the other; what failed is NaN."""
        return simulate(self.problem, inputs, self.solver, self.rtol)[0]


@dataclass(frozen=True)
class ReducedRung(Rung):
    """The problem's equations in the span of some modes; see `ritz.compute.simulation.reduced.reduced`.

    It never paid (benchmarks/bases.txt), so it is taken only where it is named.
    """

    model: ReducedModel

    def fields(self, inputs: Arrays) -> Arrays:
        """Solve the reduced equations of the samples."""
        return self.model.answer(inputs)


@dataclass(frozen=True)
class PredictedRung(Rung):
    """A surrogate's predictions."""

    model: Model

    def fields(self, inputs: Arrays) -> Arrays:
        """Predict the samples."""
        return self.model.predict(inputs)


@dataclass(frozen=True)
class CorrectedRung(PredictedRung):
    """A surrogate's predictions, one step of the problem's own iteration further; see `Problem.corrected`.

    Attributes
    ----------
    rtol
        Relative residual to which the systems for the change are solved.
    """

    rtol: float = RTOL

    def fields(self, inputs: Arrays) -> Arrays:
        """Predict the samples and correct them; what has no good answer is NaN."""
        return step(self.problem, inputs, super().fields(inputs), self.rtol)[0]
