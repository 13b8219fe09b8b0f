from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Any

from ritz.compute.cluster.cluster import Cluster
from ritz.compute.evaluation.metric import Metric
from ritz.compute.surrogates.surrogate import Surrogate
from ritz.compute.uncertainty.uncertainty import Uncertainty
from ritz.tasks.measuring import worker
from ritz.tasks.stage import stage

log = logging.getLogger("ritz")


@stage("evaluate")
def evaluate(
    store_url: str,
    cluster: Cluster,
    model: str,
    dataset: str,
    metrics: Sequence[Metric],
    surrogate: Surrogate | None = None,
) -> dict[str, Any]:
    """Measure ``model`` and the baselines on the test split of ``dataset``; both as ``NAME@VERSION``.

    Returns what `ritz.tasks.measuring.worker.evaluate` returns; it is kept with the model.
    """
    result: dict[str, Any] = cluster.call("train", worker.evaluate, store_url, model, dataset, metrics, surrogate)
    error = result["metrics"]["relative_l2"]
    log.info("evaluate: relative L2 %.4f (95th percentile %.4f)", error["mean"], error["p95"])
    return result


@stage("quantify")
def quantify(
    store_url: str, cluster: Cluster, model: str, dataset: str, method: Uncertainty, surrogate: Surrogate | None = None
) -> dict[str, Any]:
    """Calibrate bands for ``model`` on ``dataset`` and measure their coverage; both as ``NAME@VERSION``.

    Returns what `ritz.tasks.measuring.worker.quantify` returns; it is kept with the model.
    """
    result: dict[str, Any] = cluster.call("train", worker.quantify, store_url, model, dataset, method, surrogate)
    for level, row in result["coverage"].items():
        log.info("quantify: nominal %s, measured %.3f, mean width %.3g", level, row["measured"], row["width"])
    return result
