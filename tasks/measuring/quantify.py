from __future__ import annotations

import logging

from ritz.compute.cluster.cluster import Cluster
from ritz.compute.problems.problem import Problem
from ritz.compute.surrogates.surrogate import Surrogate
from ritz.compute.uncertainty.uncertainty import Calibrated, Uncertainty
from ritz.tasks.documents.calibration import Calibration
from ritz.tasks.measuring import calibration_worker as worker
from ritz.tasks.measuring.case import case_of
from ritz.tasks.measuring.passes import Pass, blocks, forget
from ritz.tasks.stage import stage

log = logging.getLogger("ritz")


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

    Two passes, over the samples to calibrate on and over the test split: workers look at a block of samples each, so
    that splits of any size take the same memory. The calibration is kept with the model.

    Parameters
    ----------
    problem, surrogate
        What made the dataset and the surrogate, where their classes are not registered.
    """
    case, data = case_of(store_url, model, dataset, problem, surrogate)
    workers, fixed = cluster.workers("train"), method.model_dump(mode="json")
    learnt: worker.Learnt = cluster.call("train", worker.learn, case, method)
    asks = "calibrate" in method.needs()
    these = blocks(case, data, "calibrate", workers, learnt.scoring.limit) if asks else []
    scores = Pass("calibrate", case, worker.score, (learnt.scoring,), fixed).over(cluster, these)
    bands: Calibrated = cluster.call("train", worker.calibrate, case, learnt.scoring, cluster.place("train", scores))
    tested = blocks(case, data, "test", workers)
    measured = Pass("quantify", case, worker.look, (bands,), bands.to_bytes().decode()).over(cluster, tested)
    laws: dict[str, worker.LawFound] = {
        law: cluster.call("train", worker.on_law, case, law, changes, bands)
        for law, changes in method.other_laws().items()
    }
    # On a worker: what statistics load is too much for the driver.
    seen = cluster.place("train", measured)
    result: Calibration = cluster.call("train", worker.conclude, case, bands, learnt.samples, scores.sums, seen, laws)
    forget(case)
    _say(result)
    return result


def _say(result: Calibration) -> None:
    for level, row in result.coverage.items():
        log.info("quantify: nominal %s, measured %s, mean width %.3g", level, row.text(), row.width)
    for law, found in result.shifted.items():
        for level, drop in found.drop.items():
            log.info("quantify: on %r the coverage of %s bands drops by percentage points: %s", law, level, drop.text())
