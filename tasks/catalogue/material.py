"""What the pages draw that no document holds, read from the store."""

from __future__ import annotations

import logging
from dataclasses import replace

import numpy as np

from ritz.compute.fields.dimensions import Dimensions
from ritz.storage.datasets import Dataset
from ritz.storage.reading import read
from ritz.storage.store import Store
from ritz.tasks.catalogue.contents import CataloguedDataset, CataloguedModel
from ritz.tasks.documents import of_model as documents
from ritz.tasks.measuring.split_fields import taken
from ritz.tasks.report.material import Material, columns
from ritz.tasks.report.worker import measured

log = logging.getLogger("ritz")

SHOWN = 3
"""Samples of a dataset that its page shows."""


def of_dataset(store: Store, dataset: CataloguedDataset) -> Material:
    """Read the first good samples by id of the newest version, and its ledger."""
    held = Dataset.open(store, dataset.name).at(dataset.newest.version)
    data = read(store, f"{dataset.name}@{dataset.newest.version}")
    rows = np.argsort(data["sample_id"].values)[:SHOWN]
    shown, (inputs, truth) = data.isel(sample=rows), taken(data, rows)
    return Material(
        sample_id=shown["sample_id"].values,
        labels=tuple(shown["split"].values.tolist()),
        inputs=inputs,
        truth=truth,
        dimensions=Dimensions.of(shown),
        coordinates={str(name): value.values for name, value in shown.coords.items() if "sample" not in value.dims},
        attrs={str(name): dict(variable.attrs) for name, variable in shown.variables.items()},
        ledger=held.ledger(),
    )


def of_model(store: Store, model: CataloguedModel) -> tuple[Material, str]:
    """Read what a report would draw of a model.

    Returns
    -------
    Material, str
        And in words why there are no predictions; empty where there are.
    """
    spec, why = model.entry.spec, ""
    evaluation, history = documents.evaluation(store, spec), documents.history(store, spec)
    dataset = model.card.dataset.spec if evaluation is None else evaluation.dataset
    try:
        found = measured(store, spec, dataset)
    except ValueError as error:
        # Its dataset is gone, or its class is not installed here.
        why = str(error).partition("\n")[0]
        log.warning("catalogue: no predictions of model %s are shown: %s", spec, why)
        found = Material()
        if evaluation is not None:
            found = replace(
                found,
                relative_l2=np.array(evaluation.relative_l2, float),
                unfit=evaluation.unfit,
                worst=evaluation.worst,
                truth_errors=evaluation.truth,
            )
    if history is not None:
        found = replace(
            found,
            curve=columns(history.curve),
            arrivals=np.array([entry.time for entry in history.received], float),
        )
    return found, why
