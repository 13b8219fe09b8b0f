from __future__ import annotations

import os

import numpy as np
import xarray as xr

from ritz.compute.document import Number
from ritz.compute.evaluation.cost import break_even, digits, rounded, timed
from ritz.compute.evaluation.equal_seconds import most_accurate
from ritz.compute.evaluation.matched import fastest
from ritz.compute.evaluation.matched_record import EqualSeconds, Trial
from ritz.compute.problems.evolution import Evolution
from ritz.compute.problems.problem import Arrays, Problem
from ritz.compute.surrogates.model import Model
from ritz.compute.surrogates.surrogate import Surrogate
from ritz.compute.training.parts.trace import machine
from ritz.storage import models
from ritz.storage.datasets import Dataset
from ritz.storage.names import split_spec
from ritz.storage.reading import read
from ritz.storage.store import Store
from ritz.tasks.documents import of_model, provenance
from ritz.tasks.documents.card import Card
from ritz.tasks.documents.cost import BreakEven, Cost, Inference, Priced, TrainingCost, TrainingData
from ritz.tasks.measuring.split_fields import taken
from ritz.tasks.measuring.worker import load_model
from ritz.tasks.parsing.recorded_problem import problem_of

SAMPLES = 8
"""Test samples on which the solver at matched error is sought."""

BATCH = 32
"""Samples that are predicted at once, besides one at a time."""

LIMIT = 20.0
"""Seconds for seeking the solver at matched error, and as many for seeking that of equal seconds."""

UNITS = {
    "solver_seconds": "seconds of one solver process, summed over all samples of the dataset (its ledger); without "
    "drawing, assembling and storing",
    "training_seconds": "seconds of the trainer in its steps and their validation, without waiting for samples",
    "inference": "seconds per sample, wall time, least of several calls, from physical inputs to physical outputs",
    "solver": "seconds per sample, wall time, least of several runs, from inputs on the grid to outputs on it",
}
"""What the seconds of a card are."""


def cost(
    store_url: str,
    model: str,
    dataset: str,
    problem: Problem | None = None,
    surrogate: Surrogate | None = None,
) -> Priced:
    """Measure what a model costs, and from how many queries on it has paid for itself; add both to its card.

    The model has been evaluated on ``dataset``; its mean relative L2 error there is what the solver has to match, on
    some of the same test samples.

    Parameters
    ----------
    model, dataset
        ``NAME@VERSION``.
    problem, surrogate
        What made the dataset and the surrogate, where their classes are not registered.
    """
    store = Store(store_url)
    trained, _ = load_model(store, model, surrogate)
    data = read(store, dataset)
    inputs, truth = _test_samples(data)
    data_cost, training = _spent(store, of_model.card(store, model))
    inference = _inference(trained, inputs)
    spent = data_cost.solver_seconds + training.training_seconds
    found = Priced(
        cost=Cost(training_data=data_cost, training=training, inference=inference, units=UNITS),
        break_even=_paid(store, model, dataset, problem, spent, inference, inputs, truth),
    )
    if (beside := _in_equal_seconds(store, dataset, problem, inference, inputs, truth)) is not None:
        found = found.changed(equal_seconds=beside)
    models.amend(store, model, found.document())
    return found


def _test_samples(data: xr.Dataset) -> tuple[Arrays, Arrays]:
    """Read inputs and outputs of some test samples, the same ones every time, in the order of solving."""
    test = np.flatnonzero(data["split"].values == "test")
    chosen = np.sort(np.random.default_rng(0).choice(test, min(SAMPLES, len(test)), replace=False))
    return taken(data, chosen)


def _spent(store: Store, card: Card) -> tuple[TrainingData, TrainingCost]:
    source, training = card.dataset, card.training
    made = Dataset.open(store, source.name).at(source.snapshot)
    summary = made.summary()
    data = TrainingData(
        dataset=source.spec,
        samples=made.samples,
        failed=summary["failed"],
        solver_seconds=summary["seconds"],
    )
    devices = sorted({one.device for one in training.machines})
    return data, TrainingCost(training_seconds=training.seconds, steps=training.steps, devices=tuple(devices))


def _inference(trained: Model, inputs: Arrays) -> Inference:
    """Measure predictions, one sample at a time and in a batch, of samples that are repeated to fill it."""
    one = {name: values[:1] for name, values in inputs.items()}
    rows = np.arange(BATCH) % len(next(iter(inputs.values())))
    many = {name: values[rows] for name, values in inputs.items()}
    single, batched = timed(lambda: trained.predict(one)), timed(lambda: trained.predict(many, batch=BATCH))
    return Inference(
        seconds=single["least"],
        spread=single["spread"],
        seconds_batched=batched["least"] / BATCH,
        spread_batched=batched["spread"],
        batch=BATCH,
        load=os.getloadavg()[0],
        **provenance.machine().entries(),
        **{
            key: value
            for key, value in machine(trained.device).document().items()
            if key in ("device", "threads", "torch")
        },
    )


def _paid(
    store: Store,
    model: str,
    dataset: str,
    problem: Problem | None,
    spent: Number,
    inference: Inference,
    inputs: Arrays,
    truth: Arrays,
) -> BreakEven:
    name, version = split_spec("dataset", dataset)
    made = Dataset.open(store, name).at(version)
    problem = problem or problem_of(made.recipe)
    if problem is None:
        kind = made.recipe["problem"].get("kind")
        return _unknown(dataset, f"the problem {kind!r} of dataset {dataset} is not installed here")
    if reason := problem.unsolvable():
        return _unknown(dataset, f"there is no solver to compare with: {reason}")
    evaluated = of_model.evaluation(store, model)
    if evaluated is None or evaluated.dataset != dataset:
        return _unknown(dataset, f"the model has not been evaluated on {dataset}")
    error = evaluated.metrics.relative_l2.mean
    matched = fastest(problem, inputs, truth, error, rtol=made.rtol, limit=LIMIT)
    solver = matched.fastest
    if solver is None:
        return _unknown(dataset, "no solve of the test samples came within the error").changed(**matched.entries())
    queries = break_even(spent, solver.seconds, inference.seconds)
    batched = break_even(spent, solver.seconds, inference.seconds_batched)
    return BreakEven(
        dataset=dataset,
        measured=True,
        queries=queries,
        queries_batched=batched,
        spread=max(solver.spread, inference.spread),
        spread_batched=max(solver.spread, inference.spread_batched),
        spent=spent,
        sentence=_sentence(queries, batched, solver, inference),
        **matched.entries(),
    )


def _in_equal_seconds(
    store: Store,
    dataset: str,
    problem: Problem | None,
    inference: Inference,
    inputs: Arrays,
    truth: Arrays,
) -> EqualSeconds | None:
    """Seek the best solve in the seconds of a single prediction; None where no problem in time is known."""
    name, version = split_spec("dataset", dataset)
    made = Dataset.open(store, name).at(version)
    problem = problem or problem_of(made.recipe)
    if not isinstance(problem, Evolution) or problem.unsolvable():
        return None
    return most_accurate(problem, inputs, truth, inference.seconds, rtol=made.rtol, limit=LIMIT)


def _unknown(dataset: str, reason: str) -> BreakEven:
    return BreakEven(dataset=dataset, measured=False, reason=reason)


def _sentence(queries: int | None, batched: int | None, solver: Trial, inference: Inference) -> str:
    """Say it plainly, with no more digits than the timings are worth."""

    def after(count: int | None, spread: float) -> str:
        if count is None:
            return "never pays for itself"
        return f"has paid for itself after about {rounded(count, digits(max(spread, solver.spread))):,} queries"

    def ms(seconds: float, spread: float) -> str:
        return f"{rounded(1e3 * seconds, digits(spread)):g} ms"

    one, many = inference.spread, inference.spread_batched
    return (
        f"Asked one at a time the surrogate {after(queries, one)}: a prediction takes "
        f"{ms(inference.seconds, one)}, the fastest solve at matched error "
        f"{ms(solver.seconds, solver.spread)}. In batches of {inference.batch}, at "
        f"{ms(inference.seconds_batched, many)}, it {after(batched, many)}."
    )
