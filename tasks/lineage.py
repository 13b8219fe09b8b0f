"""What was made from what: dataset ← recipe, model ← dataset snapshot, and the runs that did it."""

from __future__ import annotations

from collections import defaultdict
from typing import Any

from storage import models, runs
from storage.datasets import Dataset, list_datasets
from storage.errors import Unknown
from storage.names import split_spec
from storage.store import Store
from storage.wording import meant

Consumers = dict[tuple[str, str], dict[str, list[str]]]
"""By dataset and snapshot: ``models`` and ``runs`` that were made with it."""


def consumers(store: Store) -> Consumers:
    """Return which models and run records name which snapshot of which dataset."""
    found: Consumers = defaultdict(lambda: {"models": [], "runs": []})
    for model in models.list_models(store):
        source = models.read_card(store, model.spec)["dataset"]
        found[source["name"], source["snapshot"]]["models"].append(model.spec)
    for record in runs.list_runs(store):
        # A run that failed has not come to a dataset.
        if "dataset" in record:
            found[record["dataset"]["name"], record["dataset"]["snapshot"]]["runs"].append(record["run"])
    return found


def lineage(store_url: str, name: str) -> dict[str, Any]:
    """Return where a dataset comes from and what was made with each version of it; for a model the same, upwards.

    Parameters
    ----------
    name
        A dataset, or a model ``NAME[@VERSION]``; where both have the name, the dataset is meant if no version is
        given.

    Raises
    ------
    storage.errors.Unknown
        If there is neither.
    """
    store = Store(store_url)
    bare, _ = split_spec("dataset or model", name)
    if "@" not in name and bare in list_datasets(store):
        return _of_dataset(store, bare)
    if bare in store.list("models"):
        return _of_model(store, name)
    raise Unknown(
        f"there is no dataset or model {name!r} in {store.url}; "
        + (store.nothing() or "see `ritz datasets` and `ritz models`")
        + meant(bare, [*list_datasets(store), *store.list("models")])
    )


def _of_dataset(store: Store, name: str) -> dict[str, Any]:
    dataset, users = Dataset.open(store, name), consumers(store)
    versions = []
    for version in dataset.versions():
        used = users.pop((name, version.snapshot), {"models": [], "runs": []})
        versions.append({"version": version.version, "snapshot": version.snapshot, "samples": version.samples, **used})
    for (other, snapshot), used in users.items():
        # What was trained on a snapshot that nobody published.
        if other == name:
            versions.append({"version": None, "snapshot": snapshot, "samples": None, **used})
    return {"dataset": name, "recipe": _origin(dataset), "versions": versions}


def _of_model(store: Store, spec: str) -> dict[str, Any]:
    card = models.read_card(store, spec)
    found: dict[str, Any] = {
        "model": models.resolve(store, spec).spec,
        "mode": card["mode"],
        "run": card.get("run"),
        "dataset": card["dataset"],
    }
    if card["dataset"]["name"] in list_datasets(store):
        found["recipe"] = _origin(Dataset.open(store, card["dataset"]["name"]))
    return found


def _origin(dataset: Dataset) -> dict[str, Any]:
    recipe = dataset.recipe
    return {
        "name": recipe["name"],
        "problem": recipe["problem"],
        "seed": recipe["data"]["seed"],
        "rtol": recipe["data"]["rtol"],
        "identity": dataset.identity,
        "ritz_version": dataset.attrs["ritz_version"],
    }
