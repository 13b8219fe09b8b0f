"""Whether a model is released: what its run measured, held against the gate of the recipe."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping

from ritz.storage import models
from ritz.storage.store import Store
from ritz.tasks.documents.calibration import Coverage, Shifted
from ritz.tasks.documents.evaluation import Metrics
from ritz.tasks.documents.of_model import RELEASE
from ritz.tasks.documents.records import save
from ritz.tasks.documents.run import FinishedRun
from ritz.tasks.documents.verdict import Verdict
from ritz.tasks.measuring.gate import Gate, better_baselines
from ritz.tasks.pipeline import Pipeline

log = logging.getLogger("ritz")


def judge(
    store: Store,
    model: str,
    gate: Gate,
    metrics: Metrics,
    coverage: Coverage,
    baselines: Mapping[str, Metrics],
    laws: Mapping[str, Shifted] | None = None,
) -> Verdict:
    """Judge a model, keep the verdict with it, and say what it missed and which baselines are better.

    Parameters
    ----------
    model
        ``NAME@VERSION``.
    metrics, coverage, baselines, laws
        What was measured; see `ritz.tasks.measuring.gate.Gate.judge`.
    """
    verdict = gate.judge(metrics, coverage, baselines, laws)
    for reason in verdict.missed:
        log.warning("gate: %s is not released: %s", model, reason)
    error = metrics.relative_l2.mean
    for name, its in better_baselines(metrics, baselines).items():
        log.warning("evaluate: baseline %r is better than %s: relative L2 %.4g against %.4g", name, model, its, error)
    models.update(store, model, RELEASE, json.dumps(verdict.document()).encode())
    return verdict


def judged_again(store_url: str, record: FinishedRun, pipeline: Pipeline) -> FinishedRun:
    """Return the record of a finished run as the gate of ``pipeline`` judges it.

    Where that is the gate it was judged by, nothing is done. Else the verdict, which is kept with the model and in the
    record, is made anew from what was measured: a run is not done again to be judged by another bound.
    """
    if record.identity == pipeline.identity:
        return record
    store = Store(store_url)
    found = (record.metrics, record.coverage, record.baselines, record.shifted)
    verdict = judge(store, record.model.spec, pipeline.gate, *found)
    log.info("run %s is judged by another gate than before: %s", record.run, verdict.release)
    again = record.changed(
        identity=pipeline.identity,
        recipe={**record.recipe, "gate": pipeline.document()["gate"]},
        model=record.model.changed(**verdict.entries()),
    )
    return save(store, again)
