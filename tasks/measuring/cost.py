from __future__ import annotations

import logging

from ritz.compute.cluster.cluster import Cluster
from ritz.compute.problems.problem import Problem
from ritz.compute.surrogates.surrogate import Surrogate
from ritz.tasks.documents.cost import Priced
from ritz.tasks.measuring import cost_worker as worker
from ritz.tasks.stage import stage

log = logging.getLogger("ritz")


@stage("cost")
def cost(
    store_url: str,
    cluster: Cluster,
    model: str,
    dataset: str,
    problem: Problem | None = None,
    surrogate: Surrogate | None = None,
) -> Priced:
    """Measure what ``model`` costs beside the fastest solver at matched error; both as ``NAME@VERSION``.

    On the train worker, predictions and solves alike. What is found is added to the model's card.
    """
    found: Priced = cluster.call("train", worker.cost, store_url, model, dataset, problem, surrogate)
    even = found.break_even
    log.info("cost: %s", even.sentence if even.measured else f"no break-even, {even.reason}")
    return found
