"""What a worker does of an evaluation: it measures a block of samples, by every metric that fits them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from ritz.compute.evaluation.measured import Measured
from ritz.compute.evaluation.metric import Found, Subject, SubjectMetric
from ritz.compute.fields.dimensions import Dimensions
from ritz.compute.problems.problem import Arrays
from ritz.compute.surrogates.model import Model
from ritz.tasks.measuring.worker import Block, Looked, opened, references

MODEL = "model"
"""What the model is called beside the baselines."""


def look(block: Block, metrics: Sequence[SubjectMetric]) -> Looked:
    """Measure the predictions of the model and of the baselines.

    Returns
    -------
    Looked
        Rows ``sample_id``, and ``WHO|METRIC|PART`` for the metrics that fit; words, for those that do not, why.
    """
    case, beside = opened(block.case), references(block.case)
    inputs, truth = case.fields(block.rows)
    draws, dimensions = _draws(case.model, inputs, block.number), Dimensions.of(case.data)
    subject = Subject(inputs, case.model.predict(inputs), truth, dimensions, case.problem, draws, beside.climatology)
    unfit = {metric.kind: metric.unfit_for(subject) for metric in metrics}
    fit = [metric for metric in metrics if not unfit[metric.kind]]
    certain = replace(subject, draws=None)
    of_baselines = [metric for metric in fit if not metric.unfit_for(certain)]
    rows: dict[str, np.ndarray] = {"sample_id": case.data["sample_id"].values[block.rows]}
    rows |= _measured(MODEL, subject, fit)
    for name, baseline in beside.baselines.items():
        rows |= _measured(name, replace(certain, prediction=baseline.predict(inputs)), of_baselines)
    return Looked(Measured(rows, words={kind: reason for kind, reason in unfit.items() if reason}))


def _draws(model: Model, inputs: Arrays, seed: int) -> Arrays | None:
    """Return what the members of an ensemble say, each once, or draws of another stochastic surrogate."""
    if model.surrogate.trainings > 1:
        return model.members(inputs)
    return model.sample(inputs, model.surrogate.draws, seed) if model.surrogate.stochastic else None


def _measured(who: str, subject: Subject, metrics: Sequence[SubjectMetric]) -> dict[str, np.ndarray]:
    return {f"{who}|{metric.kind}|{part}": values for metric in metrics for part, values in metric.of(subject).items()}


def found(measured: Measured, who: str, metrics: Sequence[SubjectMetric]) -> dict[str, Found]:
    """Return what every metric that fits all samples found of somebody's predictions, by metric and part."""
    result = {}
    for metric in metrics:
        prefix = f"{who}|{metric.kind}|"
        parts = {name.removeprefix(prefix): values for name, values in measured.rows.items() if name.startswith(prefix)}
        if parts and metric.kind not in measured.words:
            result[metric.kind] = metric.joined(parts)
    return result
