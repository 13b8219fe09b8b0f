"""What workers answer of rungs: solves of a problem and its coarser twins, predictions of a model and of a baseline."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np

from ritz.compute.evaluation.quantities.quantity import Quantity
from ritz.compute.problems.problem import Arrays, Problem
from ritz.compute.simulation.quickest import quickest
from ritz.compute.simulation.reduced.reduced import ReducedBases, ReducedModel
from ritz.compute.simulation.restriction import Restriction
from ritz.compute.solvers.solver import Solver
from ritz.compute.surrogates.fitted.baselines import BASELINES
from ritz.compute.surrogates.model import Model
from ritz.compute.surrogates.surrogate import Surrogate
from ritz.compute.uncertainty.propagation.laws.input_law import FittedInputLaw
from ritz.compute.uncertainty.propagation.laws.on_grid import OnGrid
from ritz.compute.uncertainty.propagation.points import Points
from ritz.compute.uncertainty.propagation.rungs import (
    CorrectedRung,
    PredictedRung,
    ReducedRung,
    Rung,
    SolvedRung,
    drawn,
)
from ritz.storage.reading import read
from ritz.storage.store import Store
from ritz.tasks.measuring.split_fields import NUMBERS, few_of_split, taken
from ritz.tasks.measuring.worker import BASELINE_SAMPLES, load_model
from ritz.tasks.propagation.stored_law import StoredLaw

if TYPE_CHECKING:
    import xarray as xr

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
    law
        Of the samples; None for that of the problem.
    """

    number: int
    rung: str
    problem: Problem
    by: By
    points: Points
    quantities: tuple[Quantity, ...]
    law: StoredLaw | None = None

    def __repr__(self) -> str:
        """Name the samples in a message of a worker."""
        return f"samples {self.points.ids[0]} to {self.points.ids[-1]} on rung {self.rung!r}"


@dataclass(frozen=True)
class RungAnswer:
    """The answer, which goes to the driver as a whole: a number per sample and quantity."""

    receipt: tuple[np.ndarray, float] = field(repr=False)


def answer(asking: Asking) -> RungAnswer:
    """Answer some samples; see `ritz.compute.uncertainty.propagation.rungs.Rung.timed`."""
    rung = rung_of(asking.rung, asking.problem, asking.by, asking.law)
    return RungAnswer(rung.timed(asking.points, asking.quantities))


def solver_of(problem: Problem, seed: int, rtol: float, law: StoredLaw | None = None) -> Solver:
    """Return the quickest solver of a problem's systems, by measurement on a few samples of a law."""
    return quickest(problem, drawn(problem, Points(seed, np.arange(PROBED)), _on(law, problem)), rtol)


def rung_of(name: str, problem: Problem, by: By, law: StoredLaw | None = None) -> Rung:
    """Return a rung in this process; models, rows and what is fitted to them are kept at hand."""
    of = _on(law, problem)
    if isinstance(by, ModelRung):
        if by.answers == BASES:
            return ReducedRung(name, problem, _reduced(by, problem), law=of)
        made = CorrectedRung if by.answers == CORRECTED else PredictedRung
        return made(name, problem, _model(by), law=of)
    solver, rtol = by
    return SolvedRung(name, problem, solver, rtol, law=of)


def _on(law: StoredLaw | None, problem: Problem) -> FittedInputLaw | None:
    """Return a law on the grid of a problem."""
    if law is None:
        return None
    fitted, template = _fitted(law)
    restriction = Restriction.between(template, problem.template(1))
    assert isinstance(restriction, Restriction)
    return OnGrid(fitted, restriction)


@lru_cache(maxsize=1)
def _fitted(law: StoredLaw) -> tuple[FittedInputLaw, xr.Dataset]:
    stored = law.stored()
    if len(stored) * stored.numbers <= NUMBERS:
        stored.in_memory()
    return law.law.of(stored), stored.template


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
