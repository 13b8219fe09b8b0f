"""What workers answer of rungs: solves of a problem and its coarser twins, predictions of a model and of a baseline."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import lru_cache

import numpy as np

from ritz.compute.evaluation.quantities.quantity import Quantity
from ritz.compute.problems.problem import Arrays, Problem
from ritz.compute.simulation.quickest import quickest
from ritz.compute.simulation.reduced.reduced import ReducedBases, ReducedModel
from ritz.compute.solvers.solver import Solver
from ritz.compute.surrogates.fitted.baselines import BASELINES
from ritz.compute.surrogates.model import Model
from ritz.compute.surrogates.surrogate import Surrogate
from ritz.compute.uncertainty.propagation.points import Points
from ritz.compute.uncertainty.propagation.rungs import CorrectedRung, PredictedRung, ReducedRung, Rung, SolvedRung
from ritz.storage.reading import read
from ritz.storage.store import Store
from ritz.tasks.measuring.split_fields import few_of_split, taken
from ritz.tasks.measuring.worker import BASELINE_SAMPLES, load_model

NETWORK, CORRECTED, QUADRATIC, BASES = MODEL_RUNGS = ("network", "corrected", "quadratic", "bases")
"""What a model of a store gives: its predictions, these after one step of the problem's iteration, the baseline of this
name fitted to the same samples, and the equations in the span of these, which never paid."""

SNAPSHOTS = 240
"""Training samples, at most, that span the bases of a reduced model."""

PROBED = 4
"""Samples on whose systems the solver of a rung is chosen."""


@dataclass(frozen=True)
class ModelRung:
    """A rung of predictions, by what a worker finds in the store.

    Attributes
    ----------
    store
        URL.
    model
        ``NAME@VERSION``.
    dataset
        ``NAME@VERSION``.
    answers
        What answers: one of `MODEL_RUNGS`.
    learnt_by
        What learnt the model, where its class is not registered.
    """

    store: str
    model: str
    dataset: str
    answers: str
    learnt_by: Surrogate | None = field(default=None, compare=False)


By = tuple[Solver, float] | ModelRung
"""What answers on a rung: a solver with the tolerance of the systems, or a surrogate."""


@dataclass(frozen=True)
class Asking:
    """Samples whose quantities are wanted on a rung: the item of a stream.

    Attributes
    ----------
    number
        Of the item, by which its answer is found again.
    problem
        On the grid of the rung.
    """

    number: int
    rung: str
    problem: Problem
    by: By
    points: Points
    quantities: tuple[Quantity, ...]

    def __repr__(self) -> str:
        """Name the samples in a message of a worker."""
        return f"samples {self.points.ids[0]} to {self.points.ids[-1]} on rung {self.rung!r}"


@dataclass(frozen=True)
class RungAnswer:
    """The answer, which goes to the driver as a whole: a number per sample and quantity."""

    receipt: tuple[np.ndarray, float] = field(repr=False)


def answer(asking: Asking) -> RungAnswer:
    """Answer some samples; see `ritz.compute.uncertainty.propagation.rungs.Rung.timed`."""
    return RungAnswer(rung_of(asking.rung, asking.problem, asking.by).timed(asking.points, asking.quantities))


def solver_of(problem: Problem, seed: int, rtol: float) -> Solver:
    """Return the quickest solver of a problem's systems, by measurement on a few samples."""
    return quickest(problem, problem.draw(seed, np.arange(PROBED)), rtol)


def rung_of(name: str, problem: Problem, by: By) -> Rung:
    """Return a rung in this process; models are kept at hand."""
    if isinstance(by, ModelRung):
        if by.answers == BASES:
            return ReducedRung(name, problem, _reduced(by, problem))
        made = CorrectedRung if by.answers == CORRECTED else PredictedRung
        return made(name, problem, _model(by))
    solver, rtol = by
    return SolvedRung(name, problem, solver, rtol)


@lru_cache(maxsize=4)
def _model(surrogate: ModelRung) -> Model:
    store = Store(surrogate.store)
    trained, _ = load_model(store, surrogate.model, surrogate.learnt_by)
    if surrogate.answers not in BASELINES:
        return trained
    inputs, outputs = _training(surrogate, BASELINE_SAMPLES)
    return Model.fitted(BASELINES[surrogate.answers], trained.normalisation, [{**inputs, **outputs}])


@lru_cache(maxsize=1)
def _reduced(surrogate: ModelRung, problem: Problem) -> ReducedModel:
    return ReducedBases().fit(problem, *_training(surrogate, SNAPSHOTS), seed=0)


def _training(surrogate: ModelRung, most: int) -> tuple[Arrays, Arrays]:
    data = read(Store(surrogate.store), surrogate.dataset)
    return taken(data, few_of_split(data, "train", most))
