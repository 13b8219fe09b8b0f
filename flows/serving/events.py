"""What Prefect's server hears of a run beside its states: a dataset has a new version, a model has missed its gate.

A flow tells it, never a task or a worker; `ritz.flows.launch.launch` and `ritz.flows.served.run_served` wait at their
end until the server has been told.
"""

from __future__ import annotations

from prefect.events import emit_event
from prefect.settings import PREFECT_API_URL

from ritz.compute.document import Json
from ritz.flows.serving.rules import MISSED, PUBLISHED
from ritz.tasks.documents.dataset import DatasetVersion, PublishedDataset
from ritz.tasks.documents.verdict import Verdict


def tell_published(store: str, version: PublishedDataset, recipe: str) -> None:
    """Tell the server that a dataset has a new version.

    Parameters
    ----------
    store
        URL of the store in which it lies.
    recipe
        Name of the recipe.
    """
    resource = {"prefect.resource.id": f"ritz.dataset.{version.name}", "prefect.resource.name": version.spec}
    payload = {"snapshot": version.snapshot, "samples": version.samples, "recipe": recipe}
    _emit(PUBLISHED, {**resource, "ritz.store": store}, {"dataset": version.spec, "store": store, **payload})


def tell_missed(store: str, model: str, dataset: DatasetVersion | PublishedDataset, verdict: Verdict) -> None:
    """Tell the server that a model has missed its gate, where it has.

    Parameters
    ----------
    store
        URL of the store in which it lies.
    model
        ``NAME@VERSION``.
    dataset
        What it was trained on.
    verdict
        What was judged.
    """
    if verdict.release != "missed":
        return
    name = model.partition("@")[0]
    resource = {"prefect.resource.id": f"ritz.model.{name}", "prefect.resource.name": model}
    about = {"ritz.store": store, "ritz.dataset": dataset.name}
    payload = {"model": model, "dataset": dataset.spec, "store": store, "missed": list(verdict.missed)}
    _emit(MISSED, resource | about, payload)


def _emit(event: str, resource: dict[str, str], payload: Json) -> None:
    if PREFECT_API_URL.value() is None:
        # Without a server Prefect would start one to keep the event.
        return
    emit_event(event, resource=resource, payload=dict(payload))
