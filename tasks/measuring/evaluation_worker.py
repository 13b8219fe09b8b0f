"""What a worker does of an evaluation: it measures a block of samples, by every metric that fits them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from ritz.compute.evaluation.measured import Measured
from ritz.compute.evaluation.metric import Found, Subject, SubjectMetric
from ritz.compute.fields.dimensions import Dimensions
from ritz.storage.store import Store
from ritz.tasks.documents.evaluation import TruthErrors
from ritz.tasks.measuring.truth_worker import truth_errors as of_truth
from ritz.tasks.measuring.worker import Block, Case, Looked, baselines, opened

MODEL = "model"
"""What the model is called beside the baselines."""


def look(block: Block, metrics: Sequence[SubjectMetric]) -> Looked:
    """Measure the predictions of the model and of the baselines.

    Returns
    -------
    Looked
        Rows ``sample_id``, and ``WHO|METRIC|PART`` for the metrics that fit; words, for those that do not, why.
    """
    case = opened(block.case)
    inputs, truth = case.fields(block.rows)
    prediction = case.model.predict(inputs)
    subject = Subject(inputs, prediction, truth, Dimensions.of(case.data), case.problem)
    unfit = {metric.kind: metric.unfit_for(subject) for metric in metrics}
    rows: dict[str, np.ndarray] = {"sample_id": case.data["sample_id"].values[block.rows]}
    for who, model in ((MODEL, None), *baselines(block.case).items()):
        of = subject if model is None else replace(subject, prediction=model.predict(inputs))
        for metric in metrics:
            if not unfit[metric.kind]:
                rows |= {f"{who}|{metric.kind}|{part}": values for part, values in metric.of(of).items()}
    return Looked(Measured(rows, words={kind: reason for kind, reason in unfit.items() if reason}))


def found(measured: Measured, who: str, metrics: Sequence[SubjectMetric]) -> dict[str, Found]:
    """Return what every metric that fits all samples found of somebody's predictions, by metric and part."""
    result = {}
    for metric in metrics:
        prefix = f"{who}|{metric.kind}|"
        parts = {name.removeprefix(prefix): values for name, values in measured.rows.items() if name.startswith(prefix)}
        if parts and metric.kind not in measured.words:
            result[metric.kind] = metric.joined(parts)
    return result


def truth_errors(case: Case) -> TruthErrors:
    """Measure what errors the truth has itself; see `ritz.tasks.measuring.truth_worker`."""
    at_hand = opened(case)
    return of_truth(Store(case.store), case.dataset, at_hand.data, at_hand.problem)
