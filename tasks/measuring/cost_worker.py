from __future__ import annotations

import os
from typing import Any

import numpy as np
import xarray as xr

from ritz.compute.evaluation.cost import break_even, digits, rounded, timed
from ritz.compute.evaluation.matched import fastest
from ritz.compute.problems.problem import Arrays, Problem
from ritz.compute.surrogates.model import Model
from ritz.compute.surrogates.surrogate import Surrogate
from ritz.compute.training.parts.trace import machine
from ritz.storage import models
from ritz.storage.datasets import Dataset
from ritz.storage.names import split_spec
from ritz.storage.reading import read
from ritz.storage.store import Store
from ritz.tasks.documents import provenance
from ritz.tasks.measuring.split_fields import variables
from ritz.tasks.measuring.worker import load_model
from ritz.tasks.parsing.recorded_problem import problem_of

SAMPLES = 8
"""Test samples on which the solver at matched error is sought."""

BATCH = 32
"""Samples that are predicted at once, besides one at a time."""

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
    limit: float = 20.0,
) -> dict[str, Any]:
    """Measure what a model costs, and from how many queries on it has paid for itself; add both to its card.

    The model has been evaluated on ``dataset``; its mean relative L2 error there is what the solver has to match, on
    some of the same test samples.

    Parameters
    ----------
    model, dataset
        ``NAME@VERSION``.
    problem, surrogate
        What made the dataset and the network, where their classes are not registered.
    limit
        Seconds for seeking the solver.

    Returns
    -------
    dict
        ``cost``: ``training_data``, ``training``, ``inference`` and ``units``; ``break_even``: ``measured``; if not,
        the ``reason``; else ``queries`` one at a time and ``queries_batched`` (None for never), ``spread`` and
        ``spread_batched`` (by what factor repeats of their timings differ), ``spent`` (seconds
        before the first query), ``sentence``, and what `ritz.compute.evaluation.matched.fastest` returns.
    """
    store = Store(store_url)
    trained, _ = load_model(store, model, surrogate)
    card, data = models.read_card(store, model), read(store, dataset)
    inputs, truth = _some(data)
    spent = _spent(store, card)
    inference = _inference(trained, inputs)
    found = {
        "cost": {**spent, "inference": inference, "units": UNITS},
        "break_even": {
            "dataset": dataset,
            **_paid(store, model, dataset, problem, spent, inference, inputs, truth, limit),
        },
    }
    models.amend(store, model, found)
    return found


def _some(data: xr.Dataset) -> tuple[Arrays, Arrays]:
    """Return inputs and outputs of some test samples, the same ones every time, in the order of solving."""
    test = np.flatnonzero(data["split"].values == "test")
    chosen = np.sort(np.random.default_rng(0).choice(test, min(SAMPLES, len(test)), replace=False))
    some = data.isel(sample=chosen)
    inputs, truth = (
        {name: np.ascontiguousarray(some[name].values) for name in variables(some, role)}
        for role in ("input", "output")
    )
    return inputs, truth


def _spent(store: Store, card: dict[str, Any]) -> dict[str, Any]:
    source, training = card["dataset"], card["training"]
    made = Dataset.open(store, source["name"]).at(source["snapshot"])
    summary = made.summary()
    return {
        "training_data": {
            "dataset": f"{source['name']}@{source['version']}",
            "samples": made.samples,
            "failed": summary["failed"],
            "solver_seconds": summary["seconds"],
        },
        "training": {
            "training_seconds": training["seconds"],
            "steps": training["steps"],
            "devices": sorted({one["device"] for one in training["machines"]}),
        },
    }


def _inference(trained: Model, inputs: Arrays) -> dict[str, Any]:
    """Measure predictions, one sample at a time and in a batch, of samples that are repeated to fill it."""
    one = {name: values[:1] for name, values in inputs.items()}
    rows = np.arange(BATCH) % len(next(iter(inputs.values())))
    many = {name: values[rows] for name, values in inputs.items()}
    single, batched = timed(lambda: trained.predict(one)), timed(lambda: trained.predict(many, batch=BATCH))
    return {
        "seconds": single["least"],
        "spread": single["spread"],
        "seconds_batched": batched["least"] / BATCH,
        "spread_batched": batched["spread"],
        "batch": BATCH,
        # What else the machine did meanwhile: runnable processes, mean over a minute.
        "load": os.getloadavg()[0],
        **provenance.machine(),
        **{
            key: value
            for key, value in machine(trained.device).document().items()
            if key in ("device", "threads", "torch")
        },
    }


def _paid(
    store: Store,
    model: str,
    dataset: str,
    problem: Problem | None,
    spent: dict[str, Any],
    inference: dict[str, Any],
    inputs: Arrays,
    truth: Arrays,
    limit: float,
) -> dict[str, Any]:
    name, version = split_spec("dataset", dataset)
    made = Dataset.open(store, name).at(version)
    problem = problem or problem_of(made.recipe)
    if problem is None:
        kind = made.recipe["problem"].get("kind")
        return {"measured": False, "reason": f"the problem {kind!r} of dataset {dataset} is not installed here"}
    evaluated = models.read_document(store, model, "evaluation.json") or {}
    if evaluated.get("dataset") != dataset:
        return {"measured": False, "reason": f"the model has not been evaluated on {dataset}"}
    error = evaluated["metrics"]["relative_l2"]["mean"]
    matched = fastest(problem, inputs, truth, error, rtol=made.rtol, limit=limit)
    if matched["fastest"] is None:
        return {"measured": False, "reason": "no solve of the test samples came within the error", **matched}
    total = spent["training_data"]["solver_seconds"] + spent["training"]["training_seconds"]
    solver = matched["fastest"]["seconds"]
    queries = {
        "queries": break_even(total, solver, inference["seconds"]),
        "queries_batched": break_even(total, solver, inference["seconds_batched"]),
    }
    sentence = _sentence(queries, matched["fastest"], inference)
    apart = {name: max(matched["fastest"]["spread"], inference[name]) for name in ("spread", "spread_batched")}
    return {"measured": True, **queries, **apart, "spent": total, "sentence": sentence, **matched}


def _sentence(queries: dict[str, int | None], solver: dict[str, Any], inference: dict[str, Any]) -> str:
    """Say it plainly, with no more digits than the timings are worth."""

    def after(count: int | None, spread: float) -> str:
        if count is None:
            return "never pays for itself"
        return f"has paid for itself after about {rounded(count, digits(max(spread, solver['spread']))):,} queries"

    def ms(seconds: float, spread: float) -> str:
        return f"{rounded(1e3 * seconds, digits(spread)):g} ms"

    one, many = inference["spread"], inference["spread_batched"]
    return (
        f"Asked one at a time the surrogate {after(queries['queries'], one)}: a prediction takes "
        f"{ms(inference['seconds'], one)}, the fastest solve at matched error "
        f"{ms(solver['seconds'], solver['spread'])}. In batches of {inference['batch']}, at "
        f"{ms(inference['seconds_batched'], many)}, it {after(queries['queries_batched'], many)}."
    )
