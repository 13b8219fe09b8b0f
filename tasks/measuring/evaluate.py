from __future__ import annotations

import logging
from collections.abc import Sequence

from ritz.compute.cluster.cluster import Cluster
from ritz.compute.evaluation.metric import SubjectMetric
from ritz.compute.problems.problem import Problem
from ritz.compute.surrogates.surrogate import Surrogate
from ritz.compute.uncertainty.uncertainty import Uncertainty
from ritz.tasks.documents.calibration import Calibration
from ritz.tasks.documents.evaluation import Evaluation
from ritz.tasks.measuring import worker
from ritz.tasks.stage import stage

log = logging.getLogger("ritz")


@stage("evaluate")
def evaluate(
    store_url: str,
    cluster: Cluster,
    model: str,
    dataset: str,
    metrics: Sequence[SubjectMetric],
    problem: Problem | None = None,
    surrogate: Surrogate | None = None,
) -> Evaluation:
    """Measure ``model`` and the baselines on the test split of ``dataset``; both as ``NAME@VERSION``.

    The evaluation is kept with the model.

    Parameters
    ----------
    problem, surrogate
        What made the dataset and the surrogate, where their classes are not registered.
    """
    result: Evaluation = cluster.call("train", worker.evaluate, store_url, model, dataset, metrics, problem, surrogate)
    error = result.metrics.relative_l2
    log.info("evaluate: relative L2 %.4f (95th percentile %.4f)", error.mean, error.p95)
    finer = None if result.truth is None else result.truth.discretisation
    if finer is not None and finer.mean is not None:
        log.info("evaluate: the truth is %.4f from a grid twice as fine (%d samples)", finer.mean, finer.samples)
    return result


@stage("quantify")
def quantify(
    store_url: str,
    cluster: Cluster,
    model: str,
    dataset: str,
    method: Uncertainty,
    problem: Problem | None = None,
    surrogate: Surrogate | None = None,
) -> Calibration:
    """Calibrate bands for ``model`` on ``dataset`` and measure their coverage; both as ``NAME@VERSION``.

    The calibration is kept with the model.
    """
    result: Calibration = cluster.call("train", worker.quantify, store_url, model, dataset, method, problem, surrogate)
    for level, row in result.coverage.items():
        log.info("quantify: nominal %s, measured %s, mean width %.3g", level, row.text(), row.width)
    for law, found in result.shifted.items():
        for level, drop in found.drop.items():
            log.info("quantify: on %r the coverage of %s bands drops by percentage points: %s", law, level, drop.text())
    return result
