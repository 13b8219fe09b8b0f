from __future__ import annotations

import json
import logging
from collections.abc import Mapping, Sequence

import numpy as np

from ritz.compute.cluster.cluster import Cluster
from ritz.compute.evaluation.catalogue import USUAL
from ritz.compute.evaluation.measured import Measured
from ritz.compute.evaluation.metric import SubjectMetric
from ritz.compute.fields.dimensions import Dimensions
from ritz.compute.fields.errors import summary
from ritz.compute.problems.problem import Problem
from ritz.compute.surrogates.surrogate import Surrogate
from ritz.storage import models
from ritz.storage.errors import Refused
from ritz.storage.store import Store
from ritz.tasks.documents.card import CardMetrics
from ritz.tasks.documents.evaluation import ErrorSummary, Evaluation, Metrics, TruthErrors, WorstSample
from ritz.tasks.documents.of_model import EVALUATION
from ritz.tasks.measuring import evaluation_worker as worker
from ritz.tasks.measuring.case import case_of
from ritz.tasks.measuring.over_time import rollout
from ritz.tasks.measuring.passes import Pass, blocks, forget
from ritz.tasks.measuring.split_fields import few_of_split
from ritz.tasks.measuring.truth_worker import truth_errors
from ritz.tasks.measuring.worker import BASELINE_SAMPLES
from ritz.tasks.parsing.recorded_problem import problem_of, recipe_of
from ritz.tasks.stage import stage

log = logging.getLogger("ritz")

WORST = 10
"""Of so many samples with the largest errors the ids are kept."""


@stage("evaluate")
def evaluate(
    store_url: str,
    cluster: Cluster,
    model: str,
    dataset: str,
    metrics: Sequence[SubjectMetric] = USUAL,
    problem: Problem | None = None,
    surrogate: Surrogate | None = None,
) -> Evaluation:
    """Measure ``model`` and the baselines on the test split of ``dataset``; both as ``NAME@VERSION``.

    Workers look at a block of samples each, so that a split of any size takes the same memory. The evaluation is kept
    with the model.

    Parameters
    ----------
    problem, surrogate
        What made the dataset and the surrogate, where their classes are not registered.

    Raises
    ------
    ritz.storage.errors.Refused
        As `refuse_lost`.
    """
    case, data = case_of(store_url, model, dataset, problem, surrogate)
    fixed = [metric.model_dump(mode="json") for metric in metrics]
    these = blocks(case, data, "test", cluster.workers("train"))
    measured = Pass("evaluate", case, worker.look, (tuple(metrics),), fixed).over(cluster, these)
    refuse_lost(measured, model, dataset)
    truth: TruthErrors = cluster.call("train", truth_errors, case)
    fitted = len(few_of_split(data, "train", BASELINE_SAMPLES))
    result = _evaluation(dataset, measured, metrics, truth, fitted)
    known = problem or problem_of(recipe_of(Store(store_url), dataset))
    if (over_time := rollout(measured, Dimensions.of(data), known)) is not None:
        result = result.changed(rollout=over_time)
    of_card = CardMetrics(dataset=dataset, samples=result.samples, **result.metrics.entries())
    added = {"metrics": of_card.document(), "truth": truth.document()}
    models.add(Store(store_url), model, {EVALUATION: json.dumps(result.document()).encode()}, added)
    forget(case)
    error = result.metrics.relative_l2
    log.info("evaluate: relative L2 %.4f (95th percentile %.4f)", error.mean, error.p95)
    finer = truth.discretisation
    if finer.mean is not None:
        log.info("evaluate: the truth is %.4f from a grid twice as fine (%d samples)", finer.mean, finer.samples)
    return result


def refuse_lost(measured: Measured, model: str, dataset: str) -> None:
    """Refuse a model some of whose predictions are not finite, as those of steps that grow without bounds.

    Raises
    ------
    ritz.storage.errors.Refused
        With the ids of the first of these samples.
    """
    errors, ids = measured.rows[f"{worker.MODEL}|relative_l2|"], measured.rows["sample_id"]
    lost = ids[~np.isfinite(errors)]
    if len(lost):
        raise Refused(
            f"model {model}: the predictions of {len(lost)} of {len(ids)} test samples of {dataset} are not finite, "
            f"ids {lost[:WORST].tolist()}; expected finite ones. Train it longer; steps through time that grow without "
            "bounds need surrogate.pushforward or surrogate.noise"
        )


def _evaluation(
    dataset: str, measured: Measured, metrics: Sequence[SubjectMetric], truth: TruthErrors, fitted: int
) -> Evaluation:
    """Return the document; the baselines were fitted to so many samples."""
    errors = worker.found(measured, worker.MODEL, metrics)
    relative_l2, sample_ids = errors["relative_l2"][""], measured.rows["sample_id"]
    return Evaluation(
        dataset=dataset,
        samples=len(sample_ids),
        metrics=_summaries(errors, metrics),
        baselines={
            name: _summaries(worker.found(measured, name, metrics), metrics) for name in worker.beside(measured)
        },
        baseline_samples=fitted,
        relative_l2=tuple(relative_l2.tolist()),
        unfit=measured.words,
        worst=tuple(
            WorstSample(id=int(sample_ids[row]), relative_l2=float(relative_l2[row]))
            for row in np.argsort(-relative_l2, kind="stable")[:WORST]
        ),
        truth=truth,
        sample_ids=tuple(sample_ids.tolist()),
        by_sample={
            kind: {part: tuple(float(f"{value:.6g}") for value in values) for part, values in found.items()}
            for kind, found in errors.items()
        },
    )


def _summaries(found: Mapping[str, Mapping[str, np.ndarray]], metrics: Sequence[SubjectMetric]) -> Metrics:
    large = {metric.kind for metric in metrics if metric.large_is_good}
    parts = {
        name: {part: ErrorSummary(**summary(values, large_is_good=name in large)) for part, values in one.items()}
        for name, one in found.items()
    }
    return Metrics.model_validate({name: one[""] if set(one) == {""} else one for name, one in parts.items()})
