from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any, TypeVar

from ritz.storage import datasets as dataset_store
from ritz.storage import models as model_store
from ritz.storage import runs as run_store
from ritz.storage.datasets import Dataset
from ritz.storage.errors import StorageError, Unknown
from ritz.storage.integrity.scan import DAMAGED, reason
from ritz.storage.names import split_spec
from ritz.storage.reading import resolve
from ritz.storage.shapes import NUMBER, expect
from ritz.storage.store import Store
from ritz.storage.wording import meant
from ritz.tasks.generation.in_flight import in_flight
from ritz.tasks.measuring.gate import release_of
from ritz.tasks.parsing.identity import outcome_hash
from ritz.tasks.views.card import break_even
from ritz.tasks.views.lineage import consumers

if TYPE_CHECKING:
    from ritz.tasks.pipeline import Pipeline

log = logging.getLogger("ritz")

T = TypeVar("T")


def datasets(store_url: str) -> list[dict[str, Any]]:
    """Return a row for each dataset of a store.

    Its name, its newest version with the samples of that one, how many are planned, done and failed in the dataset
    as it is being made or grown, and its problem.

    What is damaged has none, and is named in the log; so with all lists here.
    """
    store = Store(store_url)
    return _rows(
        dataset_store.list_datasets(store), lambda name: f"dataset {name!r}", lambda name: _dataset_row(store, name)
    )


def models(store_url: str) -> list[dict[str, Any]]:
    """Return a row for each version of each model of a store."""
    store = Store(store_url)
    return _rows(
        model_store.list_models(store), lambda entry: f"model {entry.spec}", lambda entry: _model_row(store, entry)
    )


def finished(pipeline: Pipeline, store_url: str) -> dict[str, Any] | None:
    """Return the record of a finished run of this pipeline in this store, whatever it was judged by, or None."""
    store = Store(store_url)
    exact = run_store.find(store, pipeline.identity)
    if exact is not None:
        return exact
    wanted = outcome_hash(pipeline.document())
    for record in reversed(run_store.look(store).good):
        if record["status"] == "finished" and outcome_hash(record["recipe"]) == wanted:
            return record
    return None


def records(store_url: str) -> list[dict[str, Any]]:
    """Return the run records of a store, oldest first."""
    return run_store.list_runs(Store(store_url))


def runs(store_url: str) -> list[dict[str, Any]]:
    """Return a row for each run of a store, newest last."""
    return _rows(records(store_url), lambda record: f"run {record['run']}", _run_row)


def show(store_url: str, spec: str) -> dict[str, Any]:
    """Return what the store knows of a dataset, of the model of the same name, or of a run.

    Raises
    ------
    ritz.storage.errors.Unknown
        If there is nothing of that name.
    """
    store = Store(store_url)
    name, _ = split_spec("dataset or model", spec)
    parts: dict[str, Callable[[], dict[str, Any]]] = {
        "dataset": lambda: _show_dataset(store, name, spec),
        "model": lambda: _show_model(store, spec),
        "run": lambda: run_store.load(store, name),
    }
    found: dict[str, Any] = {}
    missing: list[StorageError] = []
    damaged: list[StorageError] = []
    for part, show_part in parts.items():
        try:
            found[part] = show_part()
        except Unknown as error:
            # Most names are none of a run, and a snapshot or a version may be one of the dataset alone.
            missing.append(error)
        except StorageError as error:
            damaged.append(error)
    if damaged and not found:
        raise damaged[0]
    for one in damaged:
        log.warning("%s", one)
    if not found:
        there = {entry for folder in ("datasets", "models") for entry in store.list(folder)}
        if name in there:
            raise missing[0]
        names = [*dataset_store.look(store).good, *(entry.name for entry in model_store.look(store).good)]
        raise Unknown(
            f"there is no dataset, model or run {name!r} in {store.url}; "
            + (store.nothing() or "see `ritz datasets`, `ritz models` and `ritz runs`")
            + meant(name, names)
        )
    return found


def _rows(entries: Iterable[T], named: Callable[[T], str], row: Callable[[T], dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the row of each entry; one that is damaged is named in the log instead."""
    rows = []
    for entry in entries:
        try:
            rows.append(row(entry))
        except DAMAGED as error:
            what = str(error) if isinstance(error, StorageError) else f"{type(error).__name__}: {reason(error)}"
            log.warning("%s cannot be read: %s", named(entry), what)
    return rows


def _dataset_row(store: Store, name: str) -> dict[str, Any]:
    dataset = Dataset.open(store, name)
    versions = dataset.versions()
    progress = dataset.progress()
    return {
        "dataset": name,
        "version": versions[-1].version if versions else None,
        "samples": versions[-1].samples if versions else 0,
        "planned": dataset.samples,
        "done": progress["done"],
        "failed": progress["failed"],
        "problem": dataset.recipe["problem"]["kind"],
    }


def _model_row(store: Store, entry: model_store.ModelVersion) -> dict[str, Any]:
    card = model_store.read_card(store, entry.spec)
    verdict = model_store.read_document(store, entry.spec, "release.json")
    # One that was trained by itself never came to a gate.
    release = "not judged" if verdict is None else release_of(verdict, card["recipe"])
    return {
        "model": entry.name,
        "version": entry.version,
        "dataset": f"{card['dataset']['name']}@{card['dataset']['version']}",
        "surrogate": card["recipe"]["surrogate"]["kind"],
        "mode": card["mode"],
        "steps": card["training"]["steps"],
        "relative L2": card["metrics"]["relative_l2"]["mean"] if "metrics" in card else None,
        "break-even": break_even(card),
        "release": release,
        "released": None if verdict is None else bool(verdict["released"]),
    }


def _run_row(record: dict[str, Any]) -> dict[str, Any]:
    """Return the row of a run; "-" for what it has not come to."""
    row = {"run": record["run"], "status": record["status"]}
    if record["status"] != "finished":
        return row | dict.fromkeys(("dataset", "model", "relative L2", "seconds"), "-")
    shape = {"dataset": {}, "model": {}, "metrics": {"relative_l2": {"mean": NUMBER}}, "times": {"total": NUMBER}}
    expect("record.json", record, shape)
    return row | {
        "dataset": f"{record['dataset']['name']}@{record['dataset']['version']}",
        "model": f"{record['model']['name']}@{record['model']['version']}",
        "relative L2": f"{record['metrics']['relative_l2']['mean']:.4f}",
        "seconds": f"{record['times']['total']:.0f}",
    }


def _show_model(store: Store, spec: str) -> dict[str, Any]:
    shown = {"version": model_store.resolve(store, spec).spec, **model_store.read_card(store, spec)}
    for part in ("evaluation", "calibration", "release"):
        document = model_store.read_document(store, spec, f"{part}.json")
        if document is not None:
            shown[part] = document
    shown.get("evaluation", {}).pop("relative_l2", None)
    if "release" in shown:
        shown["release"]["release"] = release_of(shown["release"], shown["recipe"])
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
