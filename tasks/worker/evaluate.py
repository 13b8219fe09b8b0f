from __future__ import annotations

import json
from typing import Any

import numpy as np

from compute.metrics.errors import relative_h1, relative_l2, relative_max, spectral, summary
from compute.problems.problem import Arrays
from compute.surrogates.baselines import BASELINES
from compute.surrogates.model import Model
from compute.surrogates.surrogate import Surrogate
from compute.uncertainty.conformal import Bands, Conformal, Predicted
from storage import models
from storage.datasets import read
from storage.store import Store
from tasks.worker.samples import load

BASELINE_SAMPLES = 2000
"""The baselines are fitted to at most so many training samples."""


def load_model(store: Store, model: str, surrogate: Surrogate | None = None) -> tuple[Model, Bands | None]:
    """Read a model and its bands, None before it was quantified.

    Parameters
    ----------
    surrogate
        What built the network, where its class is not registered.
    """
    files, _ = models.load(store, model)
    bands = Bands.from_bytes(files["bands.json"]) if "bands.json" in files else None
    return Model.from_bytes(files["model.safetensors"], surrogate), bands


def evaluate(store_url: str, model: str, dataset: str, surrogate: Surrogate | None = None) -> dict[str, Any]:
    """Measure a model and the baselines on the test split; return and keep the JSON-able result.

    Returns
    -------
    dict
        ``metrics`` and ``baselines`` as in the run record, ``samples`` of the test split and, for the report,
        ``relative_l2`` of each.
    """
    store = Store(store_url)
    trained, _ = load_model(store, model, surrogate)
    data = read(store, dataset)
    inputs, truth = load(data, "test")
    fields = {name: values for part in load(data, "train", BASELINE_SAMPLES) for name, values in part.items()}
    errors = _errors(trained.predict(inputs), truth)
    baselines = {
        name: _summaries(_errors(baseline.fit(trained.normalisation, fields)(inputs), truth))
        for name, baseline in BASELINES.items()
    }
    result = {
        "dataset": dataset,
        "samples": len(errors["relative_l2"]),
        "metrics": _summaries(errors),
        "baselines": baselines,
        "baseline_samples": len(next(iter(fields.values()))),
        "relative_l2": errors["relative_l2"].tolist(),
    }
    models.update(store, model, "evaluation.json", json.dumps(result).encode())
    return result


def _errors(prediction: Arrays, truth: Arrays) -> dict[str, Any]:
    """Return every error of every sample, averaged over the outputs."""

    def mean(error: Any) -> np.ndarray:
        return np.mean([error(prediction[name], truth[name]) for name in truth], axis=0)

    bands = [spectral(prediction[name], truth[name]) for name in truth]
    return {
        "relative_l2": mean(relative_l2),
        "h1": mean(relative_h1),
        "max_error": mean(relative_max),
        "spectral": {band: np.mean([found[band] for found in bands], axis=0) for band in bands[0]},
    }


def _summaries(found: dict[str, Any]) -> dict[str, Any]:
    return {name: _summaries(values) if isinstance(values, dict) else summary(values) for name, values in found.items()}


def quantify(
    store_url: str, model: str, dataset: str, method: Conformal, surrogate: Surrogate | None = None
) -> dict[str, Any]:
    """Calibrate bands on the calibration split and measure them on the test split; keep both with the model.

    Returns
    -------
    dict
        ``coverage`` by level as in the run record and the numbers of ``samples`` used.
    """
    store = Store(store_url)
    trained, _ = load_model(store, model, surrogate)
    data = read(store, dataset)
    parts = {}
    for split in ("validate", "calibrate", "test"):
        inputs, truth = load(data, split)
        parts[split] = Predicted(inputs, trained.predict(inputs), truth)
    transforms = {variable.name: variable.transform for variable in trained.variables}
    bands = method.calibrate(parts["validate"], parts["calibrate"], transforms)
    result = {
        "dataset": dataset,
        "samples": {split: len(next(iter(part.truth.values()))) for split, part in parts.items()},
        "coverage": bands.measure(parts["test"]),
    }
    models.update(store, model, "bands.json", bands.to_bytes())
    models.update(store, model, "calibration.json", json.dumps(result).encode())
    return result
