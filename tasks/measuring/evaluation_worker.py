"""What a worker does of an evaluation: it measures a block of samples, by every metric that fits them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from ritz.compute.evaluation.measured import Measured
from ritz.compute.evaluation.metric import Found, Subject, SubjectMetric
from ritz.compute.evaluation.rollouts import curves
from ritz.compute.fields.dimensions import Dimensions
from ritz.compute.problems.problem import Arrays
from ritz.compute.surrogates.model import Model
from ritz.tasks.measuring.worker import Block, Looked, opened, references

MODEL = "model"
"""What the model is called beside the baselines."""

TRUTH = "truth"
"""What the truth is called beside the model."""


def look(block: Block, metrics: Sequence[SubjectMetric]) -> Looked:
    """Measure the predictions of the model and of the baselines.

    Returns
    -------
    Looked
        Rows ``sample_id``, and ``WHO|METRIC|PART`` for the metrics that fit; words, for those that do not, why. Of a
        problem in time the sums ``WHO|CURVE`` of `ritz.compute.evaluation.rollouts.curves`.
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
    in_time = not curves.unfit(subject)
    sums = _sums(MODEL, curves.errors(subject)) if in_time else {}
    for who, fields in ((MODEL, subject.prediction), (TRUTH, truth)) if in_time else ():
        sums |= _sums(who, curves.likeness(subject, fields))
    for name, baseline in beside.baselines.items():
        its = replace(certain, prediction=baseline.predict(inputs))
        rows |= _measured(name, its, of_baselines)
        sums |= _sums(name, curves.errors(its)) if in_time else {}
    return Looked(Measured(rows, sums, words={kind: reason for kind, reason in unfit.items() if reason}))


def _draws(model: Model, inputs: Arrays, seed: int) -> Arrays | None:
    """Return what the members of an ensemble say, each once, or draws of another stochastic surrogate."""
    if model.surrogate.trainings > 1:
        return model.members(inputs)
    return model.sample(inputs, model.surrogate.draws, seed) if model.surrogate.stochastic else None


def _measured(who: str, subject: Subject, metrics: Sequence[SubjectMetric]) -> dict[str, np.ndarray]:
    return {f"{who}|{metric.kind}|{part}": values for metric in metrics for part, values in metric.of(subject).items()}


def _sums(who: str, found: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    return {f"{who}|{name}": values for name, values in found.items()}


def beside(measured: Measured) -> list[str]:
    """Return the names of the baselines that were measured."""
    names = dict.fromkeys(name.partition("|")[0] for name in measured.rows if "|" in name)
    return [name for name in names if name != MODEL]


def found(measured: Measured, who: str, metrics: Sequence[SubjectMetric]) -> dict[str, Found]:
    """Return what every metric that fits all samples found of somebody's predictions, by metric and part."""
    result = {}
    for metric in metrics:
        prefix = f"{who}|{metric.kind}|"
        parts = {name.removeprefix(prefix): values for name, values in measured.rows.items() if name.startswith(prefix)}
        if parts and metric.kind not in measured.words:
            result[metric.kind] = metric.joined(parts)
    return result
