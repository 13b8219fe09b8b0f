"""What a catalogue tells of a store: its published datasets and its models, from the documents that lie there."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import TypeVar

from pydantic import ValidationError

from ritz.compute.document import Json
from ritz.storage import models as model_store
from ritz.storage.datasets import Dataset
from ritz.storage.errors import StorageError
from ritz.storage.integrity.scan import DAMAGED, reason
from ritz.storage.listing import list_datasets
from ritz.storage.models import StoredModel
from ritz.storage.names import dataset_key
from ritz.storage.store import Store
from ritz.storage.stored import StoredVariable, stored_variables
from ritz.tasks.documents.records import finished, look
from ritz.tasks.documents.run import FinishedRun, RunRecord
from ritz.tasks.imprint import Imprint
from ritz.tasks.views import lists
from ritz.tasks.views.card import CardView, card
from ritz.tasks.views.lineage import DatasetLineage, lineage
from ritz.tasks.views.rows import ModelRow
from ritz.tasks.views.shown import ShownDataset, ShownVersion

log = logging.getLogger("ritz")

T = TypeVar("T")
R = TypeVar("R")


@dataclass(frozen=True)
class CataloguedDataset:
    """A dataset that has a page.

    Attributes
    ----------
    versions
        Those that are listed, the newest first; at least one.
    lineage
        All of its versions with what was made of them.
    ledger
        What the ledger says of the newest version; see `ritz.storage.ledger.summary`.
    rtol, rounding_bound
        Of the newest version; see `ritz.storage.datasets.Dataset`.
    location
        Path or URL of the dataset.
    """

    shown: ShownDataset
    versions: tuple[ShownVersion, ...]
    lineage: DatasetLineage
    variables: tuple[StoredVariable, ...]
    ledger: Json
    rtol: float
    rounding_bound: float | None
    imprint: Imprint
    location: str

    @property
    def name(self) -> str:
        """Its name."""
        return self.shown.name

    @property
    def newest(self) -> ShownVersion:
        """Its newest version."""
        return self.versions[0]

    @property
    def problem(self) -> str:
        """Kind of the problem that its samples solve, as far as that is known."""
        recipe = self.shown.recipe
        return str((recipe.get("certified") or recipe)["problem"]["kind"])

    @property
    def solved(self) -> bool:
        """Whether Ritz has solved its samples; else they were imported."""
        return not self.shown.recipe.get("imported")

    @property
    def seconds_per_sample(self) -> float | None:
        """Solver time per sample of the newest version, None where it has none."""
        return self.ledger["seconds"] / self.newest.samples if self.solved and self.newest.samples else None


@dataclass(frozen=True)
class CataloguedModel:
    """A version of a model that has a page.

    Attributes
    ----------
    run
        Record of the run that made it; None where it was trained by itself, or the record is gone.
    """

    entry: StoredModel
    row: ModelRow
    card: CardView
    run: FinishedRun | None
    imprint: Imprint


@dataclass(frozen=True)
class Contents:
    """What a catalogue tells of a store, by name."""

    store: Store
    datasets: tuple[CataloguedDataset, ...]
    models: tuple[CataloguedModel, ...]

    def dataset(self, name: str) -> CataloguedDataset | None:
        """Return the dataset of a name, None where it has no page."""
        return next((one for one in self.datasets if one.name == name), None)

    def model(self, spec: str) -> CataloguedModel | None:
        """Return the model ``NAME@VERSION``, None where it has no page."""
        return next((one for one in self.models if one.entry.spec == spec), None)

    def named(self) -> dict[str, list[str]]:
        """Return which versions of which datasets are named: those listed, and those that the models are of."""
        found: dict[str, set[str]] = {one.name: {its.version for its in one.versions} for one in self.datasets}
        for one in self.models:
            found.setdefault(one.card.dataset.name, set()).add(one.card.dataset.version)
        return {name: sorted(versions) for name, versions in sorted(found.items())}


def contents(store: Store, newest: int | None = None) -> Contents:
    """Read what a catalogue tells; what is damaged is left out, and named in the log.

    Parameters
    ----------
    newest
        How many versions of each dataset and model are listed, the newest; all by default.
    """
    records = [record for record in look(store).named() if record.status == "finished"]
    datasets = _read(
        list_datasets(store), lambda name: f"dataset {name!r}", lambda name: _dataset(store, name, records, newest)
    )
    entries = _newest(model_store.list_models(store), newest)
    models = _read(entries, lambda entry: f"model {entry.spec}", lambda entry: _model(store, entry, records))
    return Contents(store, tuple(one for one in datasets if one is not None), tuple(models))


def _read(entries: Iterable[T], named: Callable[[T], str], read: Callable[[T], R]) -> list[R]:
    found = []
    for entry in entries:
        try:
            found.append(read(entry))
        except DAMAGED as error:
            what = str(error) if isinstance(error, StorageError) else f"{type(error).__name__}: {reason(error)}"
            log.warning("%s has no page: %s", named(entry), what)
    return found


def _newest(entries: list[StoredModel], newest: int | None) -> list[StoredModel]:
    """Return the newest versions of each model, the newest first."""
    by_name: dict[str, list[StoredModel]] = {}
    for entry in entries:
        by_name.setdefault(entry.name, []).append(entry)
    return [entry for name in sorted(by_name) for entry in by_name[name][::-1][:newest]]


def _dataset(store: Store, name: str, records: list[RunRecord], newest: int | None) -> CataloguedDataset | None:
    """Return a dataset, None where no version of it is published."""
    shown, trace = lists.show(store.url, name).dataset, lineage(store.url, name)
    if shown is None or not shown.versions or not isinstance(trace, DatasetLineage):
        return None
    versions = shown.versions[::-1][:newest]
    held = Dataset.open(store, name).at(versions[0].version)
    recipes = [record.recipe for record in records if record.dataset is not None and record.dataset.name == name]
    return CataloguedDataset(
        shown=shown,
        versions=versions,
        lineage=trace,
        variables=tuple(stored_variables(held)),
        ledger=held.summary(),
        rtol=held.rtol,
        rounding_bound=held.rounding_bound,
        imprint=_imprint([shown.recipe, *recipes], f"dataset {name!r}"),
        location=store.location(dataset_key(name)),
    )


def _model(store: Store, entry: StoredModel, records: list[RunRecord]) -> CataloguedModel:
    its = card(store.url, entry.spec)
    made = [record for record in records if record.run == its.run]
    return CataloguedModel(
        entry=entry,
        row=lists.model_row(store, entry),
        card=its,
        run=finished(store, made[0]) if made else None,
        imprint=_imprint([its.recipe, *(record.recipe for record in made)], f"model {entry.spec}"),
    )


def _imprint(recipes: list[Json], what: str) -> Imprint:
    """Return what the last of several recipes says that says anything; nothing where none does."""
    given: Mapping[str, object] = next((recipe["about"] for recipe in recipes[::-1] if recipe.get("about")), {})
    try:
        return Imprint.model_validate(given)
    except ValidationError:
        log.warning("%s: its recipe has an `about` of another release, which its page leaves out", what)
        return Imprint()
