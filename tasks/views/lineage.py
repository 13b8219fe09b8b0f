"""What was made from what: dataset ← recipe, model ← dataset snapshot, and the runs that did it."""

from __future__ import annotations

from collections import defaultdict
from contextlib import suppress
from typing import Any

from ritz.storage import models, runs
from ritz.storage.datasets import Dataset, look
from ritz.storage.errors import StorageError, Unknown
from ritz.storage.names import split_spec
from ritz.storage.shapes import Found, expect
from ritz.storage.store import Store
from ritz.storage.wording import meant

Consumers = dict[tuple[str, str], dict[str, list[str]]]
"""By dataset and snapshot: ``models`` and ``runs`` that were made with it."""


def named_by(store: Store) -> tuple[Consumers, list[StorageError]]:
    """Return which models and run records name which snapshot of which dataset, and what of these is damaged."""
    found: Consumers = defaultdict(lambda: {"models": [], "runs": []})
    versions, records = models.look(store), runs.look(store)
    damaged = [*versions.damaged, *records.damaged]
    for model in versions.good:
        try:
            source = models.read_card(store, model.spec).get("dataset")
        except StorageError as error:
            damaged.append(error)
            continue
        if source is not None:
            found[source["name"], source["snapshot"]]["models"].append(model.spec)
    for record in records.good:
        # A run that failed has not come to a dataset.
        if "dataset" in record:
            found[record["dataset"]["name"], record["dataset"]["snapshot"]]["runs"].append(record["run"])
    return found, damaged


def consumers(store: Store) -> Consumers:
    """Return which models and run records name which snapshot; what is damaged is named in the log."""
    found, damaged = named_by(store)
    return Found([found], damaged).named()[0]


def lineage(store_url: str, name: str) -> dict[str, Any]:
    """Return where a dataset comes from and what was made with each version of it; for a model the same, upwards.

    Parameters
    ----------
    name
        A dataset, or a model ``NAME[@VERSION]``; where both have the name, the dataset is meant if no version is
        given.

    Raises
    ------
    ritz.storage.errors.Unknown
        If there is neither.
    """
    store = Store(store_url)
    bare, _ = split_spec("dataset or model", name)
    if "@" not in name and bare in store.list("datasets"):
        with suppress(Unknown):
            return _of_dataset(store, bare)
    if bare in store.list("models"):
        return _of_model(store, name)
    raise Unknown(
        f"there is no dataset or model {name!r} in {store.url}; "
        + (store.nothing() or "see `ritz datasets` and `ritz models`")
        + meant(bare, [*look(store).good, *store.list("models")])
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
    version = models.resolve(store, spec)
    card = models.read_card(store, version.spec)
    expect(f"the card of model {version.spec}", card, {"mode": str, "dataset": {"name": str}})
    found: dict[str, Any] = {
        "model": version.spec,
        "mode": card["mode"],
        "run": card.get("run"),
        "dataset": card["dataset"],
    }
    # The dataset may be gone.
    with suppress(Unknown):
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
