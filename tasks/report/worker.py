from __future__ import annotations

import json
import time

import numpy as np

from ritz.compute.fields.dimensions import Dimensions
from ritz.compute.problems.problem import Problem
from ritz.compute.surrogates.surrogate import Surrogate
from ritz.storage import models
from ritz.storage.datasets import Dataset
from ritz.storage.reading import read
from ritz.storage.store import Store
from ritz.tasks.documents.evaluation import Evaluation
from ritz.tasks.documents.of_model import EVALUATION, HISTORY
from ritz.tasks.documents.reading import read as read_document
from ritz.tasks.documents.run import FinishedRun
from ritz.tasks.documents.training import History
from ritz.tasks.measuring.split_fields import taken
from ritz.tasks.measuring.worker import load_model
from ritz.tasks.report.arrivals import seen
from ritz.tasks.report.material import Material, columns, typical
from ritz.tasks.report.page import pictures, render

LEVEL = 0.9
"""Nominal coverage of the bands that are shown."""


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
    model, dataset = record.model.spec, record.dataset.spec
    trained, bands = load_model(store, model, surrogate)
    data = read(store, dataset)
    files, _ = models.load(store, model)
    history = read_document(History, json.loads(files[HISTORY]), f"{HISTORY} of model {model}")
    evaluation = read_document(Evaluation, json.loads(files[EVALUATION]), f"{EVALUATION} of model {model}")
    relative_l2 = np.array(evaluation.relative_l2)
    chosen = typical(relative_l2)
    rows = np.flatnonzero(data["split"].values == "test")[list(chosen.values())]
    shown, (inputs, truth) = data.isel(sample=rows), taken(data, rows)
    prediction = trained.predict(inputs)
    lower, upper = ({}, {}) if bands is None or LEVEL not in bands.levels else bands.interval(inputs, prediction, LEVEL)
    dimensions = Dimensions.of(shown)
    made = Dataset.open(store, record.dataset.name).at(record.dataset.version)
    return Material(
        sample_id=shown["sample_id"].values,
        labels=tuple(chosen),
        inputs=inputs,
        truth=truth,
        prediction=prediction,
        half_width={name: 0.5 * (upper[name] - lower[name]) for name in lower},
        centre={name: 0.5 * (upper[name] + lower[name]) for name in lower},
        bands_made="" if bands is None else bands.made(),
        level=LEVEL,
        dimensions=dimensions,
        coordinates={str(name): value.values for name, value in shown.coords.items() if "sample" not in value.dims},
        attrs={str(name): dict(variable.attrs) for name, variable in shown.variables.items()},
        curve=columns(history.curve),
        arrivals=np.array([entry.time for entry in history.received]),
        relative_l2=relative_l2,
        unfit=evaluation.unfit,
        worst=evaluation.worst,
        truth_errors=evaluation.truth,
        ledger=made.ledger(),
        stream=seen(made, history, files["schedule.npy"], problem),
    )
