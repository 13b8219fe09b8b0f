from __future__ import annotations

import json
from contextlib import suppress
from typing import Any

from storage import models as model_store
from storage import runs as run_store
from storage.datasets import Dataset, list_datasets
from storage.errors import Unknown
from storage.names import split_spec
from storage.reading import resolve
from storage.store import Store
from storage.wording import meant
from tasks.card import break_even
from tasks.flight import in_flight
from tasks.lineage import consumers
from tasks.pipeline import Pipeline


def datasets(store_url: str) -> list[dict[str, Any]]:
    """Return a row for each dataset of a store: name, newest version, samples done and planned, problem."""
    store = Store(store_url)
    rows = []
    for name in list_datasets(store):
        dataset = Dataset.open(store, name)
        versions = dataset.versions()
        progress = dataset.progress()
        rows.append(
            {
                "dataset": name,
                "version": versions[-1].version if versions else None,
                "samples": dataset.samples,
                "done": progress["done"],
                "failed": progress["failed"],
                "problem": dataset.recipe["problem"]["kind"],
            }
        )
    return rows


def models(store_url: str) -> list[dict[str, Any]]:
    """Return a row for each version of each model of a store."""
    rows, store = [], Store(store_url)
    for entry in model_store.list_models(store):
        card = model_store.read_card(store, entry.spec)
        rows.append(
            {
                "model": entry.name,
                "version": entry.version,
                "dataset": f"{card['dataset']['name']}@{card['dataset']['version']}",
                "surrogate": card["recipe"]["surrogate"]["kind"],
                "mode": card["mode"],
                "steps": card["training"]["steps"],
                "relative L2": card["metrics"]["relative_l2"]["mean"] if "metrics" in card else None,
                "break-even": break_even(card),
                "released": _released(store, entry.spec),
            }
        )
    return rows


def finished(pipeline: Pipeline, store_url: str) -> dict[str, Any] | None:
    """Return the record of a finished run of exactly this pipeline in this store, or None."""
    return run_store.find(Store(store_url), pipeline.identity)


def records(store_url: str) -> list[dict[str, Any]]:
    """Return the run records of a store, oldest first."""
    return run_store.list_runs(Store(store_url))


def runs(store_url: str) -> list[dict[str, Any]]:
    """Return a row for each run of a store, newest last."""
    return [_run_row(record) for record in records(store_url)]


def show(store_url: str, spec: str) -> dict[str, Any]:
    """Return what the store knows of a dataset, of the model of the same name, or of a run.

    Raises
    ------
    storage.errors.Unknown
        If there is nothing of that name.
    """
    store = Store(store_url)
    name, _ = split_spec("dataset or model", spec)
    found: dict[str, Any] = {}
    if name in list_datasets(store):
        found["dataset"] = _show_dataset(store, name, spec)
    if name in {entry.name for entry in model_store.list_models(store)}:
        try:
            found["model"] = _show_model(store, spec)
        except Unknown:
            # A snapshot or a version that only the dataset has.
            if "dataset" not in found:
                raise
    # Most names are none of a run.
    with suppress(Unknown):
        found["run"] = run_store.load(store, name)
    if not found:
        names = [*list_datasets(store), *(entry.name for entry in model_store.list_models(store))]
        raise Unknown(
            f"there is no dataset, model or run {name!r} in {store.url}; "
            + (store.nothing() or "see `ritz datasets`, `ritz models` and `ritz runs`")
            + meant(name, names)
        )
    return found


def _run_row(record: dict[str, Any]) -> dict[str, Any]:
    """Return the row of a run; "-" for what it has not come to."""
    row = {"run": record["run"], "status": record["status"]}
    if record["status"] != "finished":
        return row | dict.fromkeys(("dataset", "model", "relative L2", "seconds"), "-")
    return row | {
        "dataset": f"{record['dataset']['name']}@{record['dataset']['version']}",
        "model": f"{record['model']['name']}@{record['model']['version']}",
        "relative L2": f"{record['metrics']['relative_l2']['mean']:.4f}",
        "seconds": f"{record['times']['total']:.0f}",
    }


def _released(store: Store, spec: str) -> bool | None:
    """Return whether a model passed its gate, None if it never came to one."""
    blob = model_store.read_file(store, spec, "release.json")
    return None if blob is None else bool(json.loads(blob)["released"])


def _show_model(store: Store, spec: str) -> dict[str, Any]:
    shown = {"version": model_store.resolve(store, spec).spec, **model_store.read_card(store, spec)}
    for part in ("evaluation", "calibration", "release"):
        blob = model_store.read_file(store, spec, f"{part}.json")
        if blob is not None:
            shown[part] = json.loads(blob)
    shown.get("evaluation", {}).pop("relative_l2", None)
    return shown


def _show_dataset(store: Store, name: str, spec: str) -> dict[str, Any]:
    dataset, users = Dataset.open(store, name), consumers(store)
    state: dict[str, Any] = dataset.progress()
    if state["to_go"]:
        rate = dataset.rate()
        state |= {
            "in_flight": in_flight(dataset),
            "driver": dataset.driver(),
            "samples_per_second": None if rate is None else round(rate, 2),
        }
    versions = []
    for version in dataset.versions():
        row: dict[str, Any] = {"version": version.version, "snapshot": version.snapshot, "created": version.created}
        row |= {"samples": version.samples, "bytes": version.bytes, "splits": dataset.at(version.version).splits()}
        versions.append({**row, "used_by": users.get((name, version.snapshot), {"models": [], "runs": []})})
    shown: dict[str, Any] = {"name": name, "progress": state, "versions": versions}
    if versions and "@" in spec:
        chosen = resolve(store, spec)
        shown["chosen"] = {"version": chosen.version, "snapshot": chosen.snapshot}
    return shown | {"shard": dataset.shard, "identity": dataset.identity, "recipe": dataset.recipe}
