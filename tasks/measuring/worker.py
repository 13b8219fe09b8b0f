from __future__ import annotations

import json
import time
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from ritz.compute.document import Document, Json
from ritz.compute.evaluation.catalogue import USUAL
from ritz.compute.evaluation.metric import Found, Subject, SubjectMetric
from ritz.compute.fields.dimensions import Dimensions
from ritz.compute.fields.errors import relative_l2, summary
from ritz.compute.problems.problem import Arrays, Problem
from ritz.compute.surrogates.fitted.baselines import BASELINES
from ritz.compute.surrogates.fitted.fitted import Fitted
from ritz.compute.surrogates.model import Model
from ritz.compute.surrogates.surrogate import Surrogate
from ritz.compute.uncertainty.catalogue import calibrated
from ritz.compute.uncertainty.uncertainty import About, Calibrated, Coverage, Predicted, Uncertainty
from ritz.storage import models
from ritz.storage.datasets import Dataset
from ritz.storage.names import split_spec
from ritz.storage.reading import read
from ritz.storage.store import Store
from ritz.tasks.documents.calibration import BarSeconds, Calibration, CoverageRow, Drop, Shifted, key
from ritz.tasks.documents.card import CardMetrics
from ritz.tasks.documents.evaluation import ErrorSummary, Evaluation, Metrics, WorstSample
from ritz.tasks.documents.of_model import CALIBRATION, EVALUATION
from ritz.tasks.errors import RecipeError
from ritz.tasks.measuring.shifts import solved
from ritz.tasks.measuring.split_fields import load
from ritz.tasks.measuring.truth_worker import truth_errors
from ritz.tasks.parsing.other_law import shifted
from ritz.tasks.parsing.recorded_problem import problem_of

BASELINE_SAMPLES = 2000
"""The baselines are fitted to at most so many training samples."""

BASELINE_NUMBERS = 2**26
"""And to so many that their outputs are at most this many numbers: half a gigabyte in float64."""


WORST = 10
"""Of so many samples with the largest errors the ids are kept."""


def load_model(store: Store, model: str, surrogate: Surrogate | None = None) -> tuple[Model, Calibrated | None]:
    """Read a model and its error bars, None before it was quantified and where it has none.

    Parameters
    ----------
    surrogate
        What learnt the model, where its class is not registered.
    """
    files, _ = models.load(store, model)
    bands = calibrated(files["bands.json"]) if "bands.json" in files else None
    return Model.from_bytes(files["model.safetensors"], surrogate), bands if bands and bands.levels else None


def evaluate(
    store_url: str,
    model: str,
    dataset: str,
    metrics: Sequence[SubjectMetric] = USUAL,
    problem: Problem | None = None,
    surrogate: Surrogate | None = None,
) -> Evaluation:
    """Measure a model and the baselines on the test split, by the metrics that fit the fields; keep and return it.

    Parameters
    ----------
    problem, surrogate
        What made the dataset and the surrogate, where their classes are not registered; else what the recipes say.
    """
    store = Store(store_url)
    trained, _ = load_model(store, model, surrogate)
    data = read(store, dataset)
    inputs, truth = load(data, "test")
    problem = problem or problem_of(_recipe(store, dataset))
    subject = Subject(inputs, trained.predict(inputs), truth, Dimensions.of(data), problem)
    numbers = sum(values[0].size for values in truth.values())
    limit = min(BASELINE_SAMPLES, max(1, BASELINE_NUMBERS // numbers))
    fields = {name: values for part in load(data, "train", limit) for name, values in part.items()}
    unfit = {metric.kind: metric.unfit_for(subject) for metric in metrics}
    fit = [metric for metric in metrics if not unfit[metric.kind]]
    errors = _errors(subject, fit)
    baselines = {
        name: _summaries(_errors(replace(subject, prediction=_fitted(baseline, trained, fields).predict(inputs)), fit))
        for name, baseline in BASELINES.items()
    }
    relative_l2 = errors["relative_l2"][""]
    sample_ids = data["sample_id"].values[data["split"].values == "test"]
    result = Evaluation(
        dataset=dataset,
        samples=len(next(iter(truth.values()))),
        metrics=_summaries(errors),
        baselines=baselines,
        baseline_samples=len(next(iter(fields.values()))),
        relative_l2=tuple(relative_l2.tolist()),
        unfit={kind: reason for kind, reason in unfit.items() if reason},
        worst=tuple(
            WorstSample(id=int(sample_ids[row]), relative_l2=float(relative_l2[row]))
            for row in np.argsort(-relative_l2, kind="stable")[:WORST]
        ),
        truth=truth_errors(store, dataset, data, problem),
        sample_ids=tuple(sample_ids.tolist()),
        by_sample={
            kind: {part: tuple(float(f"{value:.6g}") for value in values) for part, values in found.items()}
            for kind, found in errors.items()
        },
    )
    of_card = CardMetrics(dataset=dataset, samples=result.samples, **result.metrics.entries())
    added = {"metrics": of_card.document()}
    if result.truth is not None:
        added["truth"] = result.truth.document()
    models.add(store, model, {EVALUATION: _json(result)}, added)
    return result


def _recipe(store: Store, dataset: str) -> Json:
    """Return the recipe of a dataset."""
    name, version = split_spec("dataset", dataset)
    return Dataset.open(store, name).at(version).recipe


def _errors(subject: Subject, metrics: Sequence[SubjectMetric]) -> dict[str, Found]:
    """Return what every metric finds for every sample, by metric and part."""
    return {metric.kind: metric.of(subject) for metric in metrics}


def _fitted(baseline: Fitted, trained: Model, fields: Arrays) -> Model:
    """Return a baseline, fitted to samples with the normalisation of a model."""
    return Model.fitted(baseline, trained.normalisation, [fields])


def _summaries(found: dict[str, dict[str, np.ndarray]]) -> Metrics:
    parts = {
        name: {part: ErrorSummary(**summary(values)) for part, values in one.items()} for name, one in found.items()
    }
    return Metrics.model_validate({name: one[""] if set(one) == {""} else one for name, one in parts.items()})


def _json(document: Document) -> bytes:
    return json.dumps(document.document()).encode()


def quantify(
    store_url: str,
    model: str,
    dataset: str,
    method: Uncertainty,
    problem: Problem | None = None,
    surrogate: Surrogate | None = None,
) -> Calibration:
    """Calibrate bands on the calibration split and measure them on the test split; keep both with the model.

    Parameters
    ----------
    problem
        What the dataset solves, where its class is not registered; else what its recipe says.
    """
    store = Store(store_url)
    trained, _ = load_model(store, model, surrogate)
    data = read(store, dataset)
    parts, clock = {}, [0.0, 0.0]
    for split in ("validate", "calibrate", "test"):
        inputs, truth = load(data, split)
        begun = time.perf_counter()
        prediction = trained.predict(inputs)
        clock[0] += time.perf_counter() - begun
        parts[split] = Predicted(inputs, prediction, truth)
    transforms = {variable.name: variable.transform for variable in trained.variables}
    recipe = _recipe(store, dataset)
    problem = problem or problem_of(recipe)
    about = About(transforms, trained.normalisation.dimensions, problem)
    bands = method.calibrate(parts["validate"], parts["calibrate"], about)
    begun = time.perf_counter()
    measured = bands.measure(parts["test"])
    clock[1] = time.perf_counter() - begun
    ranks = {name: value if np.isfinite(value) else None for name, value in bands.ranking(parts["test"]).items()}
    laws = {
        law: _on(law, changes, problem, recipe, trained, bands, measured)
        for law, changes in method.other_laws().items()
    }
    result = Calibration(
        dataset=dataset,
        made=bands.made(),
        seconds=BarSeconds(
            prediction=clock[0] / sum(map(len, parts.values())), bars=clock[1] / max(1, len(parts["test"]))
        ),
        samples={split: len(next(iter(part.truth.values()))) for split, part in parts.items()},
        coverage={key(one.level): CoverageRow.model_validate(one.document()) for one in measured},
        **({"shifted": laws} if laws else {}),
        **({"ranking": ranks} if ranks else {}),
    )
    files = {"bands.json": bands.to_bytes(), CALIBRATION: _json(result)}
    models.add(store, model, files, {"calibration": result.document()})
    return result


def _on(
    law: str,
    changes: Json,
    problem: Problem | None,
    recipe: Json,
    trained: Model,
    bands: Calibrated,
    measured: Sequence[Coverage],
) -> Shifted:
    """Return what error bars are worth on another law, from samples that are solved for it."""
    if problem is None:
        raise RecipeError(f"uncertainty.shifts.{law}: what the dataset solves is not installed here")
    try:
        other = shifted(problem, changes)
    except ValueError as error:
        raise RecipeError(f"uncertainty.shifts.{law}: {error}") from error
    inputs, truth = solved(other, recipe["data"]["seed"], recipe["data"]["rtol"])
    there = Predicted(inputs, trained.predict(inputs), truth)
    found = bands.measure(there)
    errors = [relative_l2(there.prediction[name], truth[name]) for name in truth]
    return Shifted(
        changes=changes,
        samples=len(there),
        relative_l2=float(np.mean(errors)),
        coverage={key(one.level): CoverageRow.model_validate(one.document()) for one in found},
        drop={key(here.level): Drop.model_validate(here.drop(one)) for here, one in zip(measured, found, strict=True)},
    )
