from __future__ import annotations

import json
import logging
from collections.abc import Mapping, Sequence

import numpy as np

from ritz.compute.cluster.cluster import Cluster
from ritz.compute.document import Json
from ritz.compute.evaluation.measured import Measured
from ritz.compute.fields.tensors import pack
from ritz.compute.problems.problem import Problem
from ritz.compute.surrogates.surrogate import Surrogate
from ritz.compute.uncertainty.coverage import Coverage
from ritz.compute.uncertainty.uncertainty import Calibrated, Uncertainty
from ritz.storage import models
from ritz.storage.store import Store
from ritz.tasks.documents.calibration import BarSeconds, Calibration, CoverageRow, Drop, Shifted, key
from ritz.tasks.documents.of_model import CALIBRATION, CELLS, COVERAGE_MAP
from ritz.tasks.measuring import calibration_worker as worker
from ritz.tasks.measuring.case import case_of
from ritz.tasks.measuring.passes import Pass, blocks
from ritz.tasks.measuring.worker import Case
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
    these = blocks(case, data, "calibrate", workers, learnt.scoring.limit)
    scores = Pass("calibrate", case, worker.score, (learnt.scoring,), fixed).over(cluster, these)
    bands = learnt.scoring.calibrated(scores)
    tested = blocks(case, data, "test", workers)
    kept = bands.to_bytes()
    measured = Pass("quantify", case, worker.look, (bands,), kept.decode()).over(cluster, tested)
    coverage = bands.covered(measured)
    laws = {law: _on(cluster, case, law, changes, bands, coverage) for law, changes in method.other_laws().items()}
    parts = {"calibrate": these, "test": tested}
    counts = {"validate": learnt.samples} | {name: sum(len(one.rows) for one in part) for name, part in parts.items()}
    ranks = {name: value if np.isfinite(value) else None for name, value in bands.ranking(measured).items()}
    result = Calibration(
        dataset=dataset,
        made=bands.made(),
        seconds=_seconds(scores, measured, counts),
        samples=counts,
        coverage={key(one.level): CoverageRow.model_validate(one.document()) for one in coverage},
        **({"shifted": laws} if laws else {}),
        **({"ranking": ranks} if ranks else {}),
    )
    files = {"bands.json": kept, CALIBRATION: json.dumps(result.document()).encode()}
    if bands.levels:
        files[COVERAGE_MAP] = _mapped(bands, measured, coverage)
    models.add(Store(store_url), model, files, {"calibration": result.document()})
    _say(result)
    return result


def _on(
    cluster: Cluster, case: Case, law: str, changes: Json, bands: Calibrated, measured: Sequence[Coverage]
) -> Shifted:
    """Return what error bars are worth on another law, from samples that are solved for it."""
    found: worker.OnLaw = cluster.call("train", worker.on_law, case, law, changes, bands)
    pairs = list(zip(measured, found.coverage, strict=True))
    return Shifted(
        changes=changes,
        samples=found.samples,
        relative_l2=found.relative_l2,
        coverage={key(one.level): CoverageRow.model_validate(one.document()) for _, one in pairs},
        drop={key(here.level): Drop.model_validate(here.drop(one)) for here, one in pairs},
    )


def _mapped(bands: Calibrated, measured: Measured, coverage: Sequence[Coverage]) -> bytes:
    """Return how often each value was inside, and of each sample how much was, at the level that is mapped."""
    level, cells = bands.cells(measured)
    [found] = [one for one in coverage if one.level == level]
    arrays = {f"{CELLS}{name}": values for name, values in cells.items()}
    arrays |= {"shares": found.shares.astype(np.float32), "sample_id": measured.rows[worker.IDS]}
    return pack(arrays, {"level": level, "samples": len(found.shares)})


def _seconds(scores: Measured, measured: Measured, counts: Mapping[str, int]) -> BarSeconds:
    """Return what a prediction and its error bars took, per sample."""
    prediction = scores.sums[worker.SECONDS][0] + measured.sums[worker.SECONDS][0]
    return BarSeconds(
        prediction=float(prediction / (counts["calibrate"] + counts["test"])),
        bars=float(measured.sums[worker.SECONDS][1] / counts["test"]),
    )


def _say(result: Calibration) -> None:
    for level, row in result.coverage.items():
        log.info("quantify: nominal %s, measured %s, mean width %.3g", level, row.text(), row.width)
    for law, found in result.shifted.items():
        for level, drop in found.drop.items():
            log.info("quantify: on %r the coverage of %s bands drops by percentage points: %s", law, level, drop.text())
