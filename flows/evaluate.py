from __future__ import annotations

from typing import Any

from prefect import flow

from ritz.tasks.measuring import evaluate as stage
from ritz.tasks.measuring.cost import cost
from ritz.tasks.preparing import Evaluate, prepare
from ritz.tasks.signals import stoppable


@flow(name="evaluate")
@stoppable
def evaluate(model: str, dataset: str, store: str, profile: str = "local") -> dict[str, Any]:
    """Measure a model, the baselines and their costs on the test split of a dataset; both as ``NAME[@VERSION]``.

    Raises
    ------
    ritz.storage.errors.StorageError
        If there is no such model or dataset.
    """
    prepared = prepare(Evaluate(model, dataset), store, profile)
    measured, store = prepared.work, prepared.store
    specs = (measured.model.spec, measured.dataset.spec)
    with prepared.profile.open(Evaluate.roles) as cluster:
        result: dict[str, Any] = stage.evaluate(store, cluster, *specs, measured.metrics)
        result |= cost(store, cluster, *specs)
    return {"model": {"name": measured.model.name, "version": measured.model.version}, **result}
