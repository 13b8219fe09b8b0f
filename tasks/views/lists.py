from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from typing import TypeVar

from ritz.compute.document import DocumentPart
from ritz.storage import models as model_store
from ritz.storage.datasets import Dataset
from ritz.storage.errors import StorageError, Unknown
from ritz.storage.integrity.scan import DAMAGED, reason
from ritz.storage.listing import list_datasets, look_at_datasets
from ritz.storage.names import split_spec
from ritz.storage.reading import resolve
from ritz.storage.store import Store
from ritz.storage.wording import meant
from ritz.tasks.documents import of_model
from ritz.tasks.documents.law_calibration import laws
from ritz.tasks.documents.records import finished as finished_run
from ritz.tasks.documents.records import load, look
from ritz.tasks.documents.run import RunRecord
from ritz.tasks.documents.users import NOBODY, consumers
from ritz.tasks.generation.in_flight import in_flight
from ritz.tasks.views.card import break_even
from ritz.tasks.views.rows import DatasetRow, ModelRow, RunRow
from ritz.tasks.views.shown import ChosenVersion, Progress, Shown, ShownDataset, ShownModel, ShownVersion

log = logging.getLogger("ritz")

T = TypeVar("T")
R = TypeVar("R", bound=DocumentPart)


def datasets(store_url: str) -> list[DatasetRow]:
    """Return a row for each dataset of a store.

    What is damaged has none, and is named in the log; so with all lists here.
    """
    store = Store(store_url)
    return _rows(list_datasets(store), lambda name: f"dataset {name!r}", lambda name: _dataset_row(store, name))


def models(store_url: str) -> list[ModelRow]:
    """Return a row for each version of each model of a store."""
    store = Store(store_url)
    return _rows(
        model_store.list_models(store), lambda entry: f"model {entry.spec}", lambda entry: model_row(store, entry)
    )


def records(store_url: str) -> list[RunRecord]:
    """Return the run records of a store, oldest first."""
    return look(Store(store_url)).named()


def runs(store_url: str) -> list[RunRow]:
    """Return a row for each run of a store, newest last."""
    store = Store(store_url)
    return _rows(records(store_url), lambda record: f"run {record.run}", lambda record: _run_row(store, record))


def show(store_url: str, spec: str) -> Shown:
    """Return what the store knows of a dataset, of the model of the same name, or of a run.

    Raises
    ------
    ritz.storage.errors.Unknown
        If there is nothing of that name.
    """
    store = Store(store_url)
    name, _ = split_spec("dataset or model", spec)
    parts: dict[str, Callable[[], DocumentPart]] = {
        "dataset": lambda: _show_dataset(store, name, spec),
        "model": lambda: _show_model(store, spec),
        "run": lambda: load(store, name),
    }
    found: dict[str, DocumentPart] = {}
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
        names = [*look_at_datasets(store).good, *(entry.name for entry in model_store.look(store).good)]
        raise Unknown(
            f"there is no dataset, model or run {name!r} in {store.url}; "
            + (store.nothing() or "see `ritz datasets`, `ritz models` and `ritz runs`")
            + meant(name, names)
        )
    return Shown.model_validate(found)


def _rows(entries: Iterable[T], named: Callable[[T], str], row: Callable[[T], R]) -> list[R]:
    """Return the row of each entry; one that is damaged is named in the log instead."""
    rows = []
    for entry in entries:
        try:
            rows.append(row(entry))
        except DAMAGED as error:
            what = str(error) if isinstance(error, StorageError) else f"{type(error).__name__}: {reason(error)}"
            log.warning("%s cannot be read: %s", named(entry), what)
    return rows


def _dataset_row(store: Store, name: str) -> DatasetRow:
    dataset = Dataset.open(store, name)
    versions = dataset.versions()
    progress = dataset.progress()
    return DatasetRow(
        dataset=name,
        version=versions[-1].version if versions else None,
        samples=versions[-1].samples if versions else 0,
        planned=dataset.samples,
        done=progress["done"],
        failed=progress["failed"],
        problem=dataset.recipe["problem"]["kind"],
    )


def model_row(store: Store, entry: model_store.StoredModel) -> ModelRow:
    """Return the row of a version of a model."""
    card, verdict = of_model.card(store, entry.spec), of_model.verdict(store, entry.spec)
    return ModelRow(
        model=entry.name,
        version=entry.version,
        dataset=card.dataset.spec,
        surrogate=card.recipe["surrogate"]["kind"],
        mode=card.mode,
        steps=card.training.steps,
        relative_l2=card.metrics.relative_l2.mean if card.metrics is not None else None,
        break_even=break_even(card),
        # One that was trained by itself never came to a gate.
        release="not judged" if verdict is None else verdict.release_by(card.recipe),
        released=None if verdict is None else verdict.released,
    )


def _run_row(store: Store, record: RunRecord) -> RunRow:
    if record.status != "finished":
        nothing = dict.fromkeys(("dataset", "model", "relative_l2", "seconds"), "-")
        return RunRow(run=record.run, status=record.status, **nothing)
    done = finished_run(store, record)
    return RunRow(
        run=done.run,
        status=done.status,
        dataset=done.dataset.spec,
        model=done.model.spec,
        relative_l2=f"{done.metrics.relative_l2.mean:.4f}",
        seconds="-" if done.times.total is None else f"{done.times.total:.0f}",
    )


def _show_model(store: Store, spec: str) -> ShownModel:
    card = of_model.card(store, spec)
    evaluation, calibration = of_model.evaluation(store, spec), of_model.calibration(store, spec)
    verdict = of_model.verdict(store, spec)
    measured = {
        "evaluation": evaluation and evaluation.short(),
        "calibration": calibration,
        "laws": laws(store, spec) or None,
        "release": verdict and verdict.complete(card.recipe),
    }
    there = {name: found for name, found in measured.items() if found is not None}
    return ShownModel.model_validate({"version": model_store.resolve(store, spec).spec, **card.entries(), **there})


def _show_dataset(store: Store, name: str, spec: str) -> ShownDataset:
    dataset, users = Dataset.open(store, name), consumers(store)
    progress = Progress(**dataset.progress())
    if progress.to_go:
        rate = dataset.rate()
        progress = progress.changed(
            in_flight=in_flight(dataset),
            driver=dataset.driver(),
            samples_per_second=None if rate is None else round(rate, 2),
        )
    versions = tuple(
        ShownVersion(
            version=version.version,
            snapshot=version.snapshot,
            created=version.created,
            samples=version.samples,
            bytes=version.bytes,
            splits=dataset.at(version.version).splits(),
            used_by=users.get((name, version.snapshot), NOBODY),
        )
        for version in dataset.versions()
    )
    asked = {}
    if versions and "@" in spec:
        chosen = resolve(store, spec)
        asked["chosen"] = ChosenVersion(version=chosen.version, snapshot=chosen.snapshot)
    return ShownDataset(
        name=name,
        progress=progress,
        versions=versions,
        **asked,
        shard=dataset.shard,
        identity=dataset.identity,
        recipe=dataset.recipe,
    )
