from __future__ import annotations

import logging

from ritz.compute.cluster.cluster import Cluster
from ritz.compute.uncertainty.uncertainty import Uncertainty
from ritz.tasks.documents.law_calibration import LawCalibration
from ritz.tasks.measuring import law_worker
from ritz.tasks.parsing.asked_law import AskedLaw
from ritz.tasks.stage import stage

log = logging.getLogger("ritz")


@stage("recalibrate")
def recalibrate(
    store_url: str, cluster: Cluster, model: str, dataset: str, method: Uncertainty, law: AskedLaw, solves: int
) -> LawCalibration:
    """Calibrate bands of ``model`` on fresh solves of another law; both names as ``NAME@VERSION``.

    The bands are kept with the model, beside those of its own law.
    """
    result: LawCalibration = cluster.call(
        "train", law_worker.recalibrate, store_url, model, dataset, method, law, solves
    )
    log.info(
        "quantify: bands of %s for the law %r, on %d fresh solves: %.2f s",
        model,
        law.name,
        result.samples,
        result.seconds,
    )
    return result
