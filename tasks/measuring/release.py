"""Whether a model is released: what its run measured, held against the gate of the recipe."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from typing import Any

from ritz.storage import models, runs
from ritz.storage.store import Store
from ritz.tasks.measuring.gate import Gate, better_baselines
from ritz.tasks.pipeline import Pipeline

log = logging.getLogger("ritz")


def judge(store: Store, model: str, gate: Gate, measured: Mapping[str, Any]) -> dict[str, Any]:
    """Judge a model, keep the verdict with it, and say what it missed and which baselines are better.

    Parameters
    ----------
    model
        ``NAME@VERSION``.
    measured
        ``metrics``, ``coverage`` and ``baselines``, as in a run record.

    Returns
    -------
    dict
        As `Gate.judge`.
    """
    verdict = gate.judge(measured["metrics"], measured["coverage"], measured["baselines"])
    for reason in verdict["missed"]:
        log.warning("gate: %s is not released: %s", model, reason)
    error = measured["metrics"]["relative_l2"]["mean"]
    for name, its in better_baselines(measured["metrics"], measured["baselines"]).items():
        log.warning("evaluate: baseline %r is better than %s: relative L2 %.4g against %.4g", name, model, its, error)
    models.update(store, model, "release.json", json.dumps(verdict).encode())
    return verdict


def judged_again(store_url: str, record: dict[str, Any], pipeline: Pipeline) -> dict[str, Any]:
    """Return the record of a finished run as the gate of ``pipeline`` judges it.

    Where that is the gate it was judged by, nothing is done. Else the verdict, which is kept with the model and in the
    record, is made anew from what was measured: a run is not done again to be judged by another bound.
    """
    if record["identity"] == pipeline.identity:
        return record
    store = Store(store_url)
    verdict = judge(store, f"{record['model']['name']}@{record['model']['version']}", pipeline.gate, record)
    log.info("run %s is judged by another gate than before: %s", record["run"], verdict["release"])
    again = record | {
        "identity": pipeline.identity,
        "recipe": record["recipe"] | {"gate": pipeline.document()["gate"]},
        "model": record["model"] | verdict,
    }
    return runs.save(store, record["run"], again)
