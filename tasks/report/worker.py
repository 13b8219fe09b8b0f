from __future__ import annotations

import json
import time
from dataclasses import replace

import numpy as np

from ritz.compute.fields.dimensions import Dimensions
from ritz.compute.problems.problem import Problem
from ritz.compute.surrogates.surrogate import Surrogate
from ritz.storage import models
from ritz.storage.datasets import Dataset
from ritz.storage.reading import read
from ritz.storage.store import Store
from ritz.tasks.documents import of_model
from ritz.tasks.documents.evaluation import Evaluation
from ritz.tasks.documents.of_model import COVERAGE_MAP, HISTORY
from ritz.tasks.documents.reading import read as read_document
from ritz.tasks.documents.run import FinishedRun
from ritz.tasks.documents.training import History
from ritz.tasks.measuring.split_fields import taken
from ritz.tasks.measuring.worker import load_model
from ritz.tasks.report.arrivals import seen
from ritz.tasks.report.covered import Covered
from ritz.tasks.report.material import Material, columns, typical
from ritz.tasks.report.page import pictures, render

LEVEL = 0.9
"""Nominal coverage of the bands that are shown, or the level next to it."""


def report(
    store_url: str,
    record: FinishedRun,
    begun: float,
    problem: Problem | None = None,
    surrogate: Surrogate | None = None,
) -> tuple[bytes, FinishedRun]:
    """Draw the report of a run; return it, an HTML page, and the record with the time that all of it took.

    Parameters
    ----------
    begun
        When the run began, `time.time`.
    """
    material = gather(Store(store_url), record, problem, surrogate)
    figures = pictures(record.document(), material)
    # But for writing the page, which takes milliseconds.
    record = record.changed(times=record.times.changed(total=time.time() - begun))
    return render(record.document(), material, figures), record


def gather(
    store: Store, record: FinishedRun, problem: Problem | None = None, surrogate: Surrogate | None = None
) -> Material:
    """Read what a report draws: test samples with their predictions, and how the training and the solving went."""
    model = record.model.spec
    files, _ = models.load(store, model)
    history = read_document(History, json.loads(files[HISTORY]), f"{HISTORY} of model {model}")
    made = Dataset.open(store, record.dataset.name).at(record.dataset.version)
    return replace(
        measured(store, model, record.dataset.spec, surrogate, problem),
        curve=columns(history.curve),
        arrivals=np.array([entry.time for entry in history.received]),
        ledger=made.ledger(),
        stream=seen(made, history, files["schedule.npy"], problem),
    )


def measured(
    store: Store,
    model: str,
    dataset: str,
    surrogate: Surrogate | None = None,
    problem: Problem | None = None,
    *,
    by_coverage: bool = False,
) -> Material:
    """Read what a page draws of a model that was measured on a dataset, both as ``NAME@VERSION``.

    Parameters
    ----------
    by_coverage
        The samples that are shown are chosen by their coverage where that is known, and not by their error.
    """
    trained, bands = load_model(store, model, surrogate, problem)
    data = read(store, dataset)
    evaluation = evaluated(store, model, dataset)
    covered = Covered.of(models.read_file(store, model, COVERAGE_MAP)) if bands is not None else None
    relative_l2 = np.array([] if evaluation is None else evaluation.relative_l2)
    rows = np.flatnonzero(data["split"].values == "test")
    if by_coverage and covered is not None:
        ids = data["sample_id"].values[rows].tolist()
        chosen = {label: ids.index(one) for label, one in covered.chosen().items()}
    else:
        chosen = typical(relative_l2)
    rows = rows[list(chosen.values())]
    shown, (inputs, truth) = data.isel(sample=rows), taken(data, rows)
    prediction = trained.predict(inputs) if chosen else {}
    level = LEVEL if bands is None else min(bands.levels, key=lambda one: abs(one - LEVEL))
    lower, upper = ({}, {}) if bands is None or not chosen else bands.interval(inputs, prediction, level)
    return Material(
        sample_id=shown["sample_id"].values,
        labels=tuple(chosen),
        chosen_by="coverage" if by_coverage and covered is not None else "error",
        inputs=inputs,
        truth=truth,
        prediction=prediction,
        half_width={name: 0.5 * (upper[name] - lower[name]) for name in lower},
        centre={name: 0.5 * (upper[name] + lower[name]) for name in lower},
        bands_made="" if bands is None else bands.made(),
        level=level,
        covered=covered,
        dimensions=Dimensions.of(shown),
        coordinates={str(name): value.values for name, value in shown.coords.items() if "sample" not in value.dims},
        attrs={str(name): dict(variable.attrs) for name, variable in shown.variables.items()},
        relative_l2=relative_l2,
        unfit={} if evaluation is None else evaluation.unfit,
        worst=() if evaluation is None else evaluation.worst,
        truth_errors=None if evaluation is None else evaluation.truth,
        rollout=None if evaluation is None else evaluation.rollout,
    )


def evaluated(store: Store, model: str, dataset: str) -> Evaluation | None:
    """Return what was measured of a model on a dataset; None before, or where that was another dataset."""
    found = of_model.evaluation(store, model)
    return found if found is not None and found.dataset == dataset else None
