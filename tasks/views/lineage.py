"""What was made from what: dataset ← recipe, model ← dataset snapshot, and the runs that did it."""

from __future__ import annotations

from contextlib import suppress

from ritz.compute.document import DocumentPart, Json, Number
from ritz.storage import models
from ritz.storage.datasets import Dataset
from ritz.storage.errors import Unknown
from ritz.storage.listing import look_at_datasets
from ritz.storage.names import split_spec
from ritz.storage.store import Store
from ritz.storage.wording import meant
from ritz.tasks.documents import of_model
from ritz.tasks.documents.dataset import DatasetVersion
from ritz.tasks.documents.users import NOBODY, Uses, consumers


class Source(DocumentPart):
    """What made a dataset: the main fields of its recipe, and the version of Ritz.

    Attributes
    ----------
    about
        What its recipe tells readers: description, licence, contact, citation; None where it tells nothing.
    imported
        Files that it was imported from; None for what Ritz solved.
    certified
        Prediction whose certified samples these are, with the model; None for others.
    """

    name: str
    problem: Json
    seed: int
    rtol: Number
    identity: str
    ritz_version: str
    about: Json | None = None
    imported: Json | None = None
    certified: Json | None = None


class VersionUses(Uses):
    """A version of a dataset and what was made with it; None for what is not known of a snapshot nobody published."""

    version: str | None
    snapshot: str
    samples: int | None


class DatasetLineage(DocumentPart):
    """Where a dataset comes from and what was made with each of its versions."""

    dataset: str
    recipe: Source
    versions: tuple[VersionUses, ...]


class ModelLineage(DocumentPart):
    """What a model was made of; ``recipe`` is that of its dataset, None where that is gone.

    ``start`` is the model whose weights its training began with, None where they were drawn.
    """

    model: str
    mode: str
    run: str | None
    dataset: DatasetVersion
    start: str | None = None
    recipe: Source | None = None


def lineage(store_url: str, name: str) -> DatasetLineage | ModelLineage:
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
        + meant(bare, [*look_at_datasets(store).good, *store.list("models")])
    )


def _of_dataset(store: Store, name: str) -> DatasetLineage:
    dataset, users = Dataset.open(store, name), consumers(store)
    versions = []
    for version in dataset.versions():
        of = users.pop((name, version.snapshot), NOBODY).entries()
        versions.append(VersionUses(version=version.version, snapshot=version.snapshot, samples=version.samples, **of))
    for (other, snapshot), used in users.items():
        # What was trained on a snapshot that nobody published.
        if other == name:
            versions.append(VersionUses(version=None, snapshot=snapshot, samples=None, **used.entries()))
    return DatasetLineage(dataset=name, recipe=_source(dataset), versions=tuple(versions))


def _of_model(store: Store, spec: str) -> ModelLineage:
    version = models.resolve(store, spec)
    card = of_model.card(store, version.spec)
    found = ModelLineage(
        model=version.spec,
        mode=card.mode,
        run=card.run,
        dataset=card.dataset,
        start=card.recipe["training"].get("start"),
    )
    # The dataset may be gone.
    with suppress(Unknown):
        return found.changed(recipe=_source(Dataset.open(store, card.dataset.name)))
    return found


def _source(dataset: Dataset) -> Source:
    recipe = dataset.recipe
    return Source(
        name=recipe["name"],
        problem=recipe["problem"],
        seed=recipe["data"]["seed"],
        rtol=recipe["data"]["rtol"],
        identity=dataset.identity,
        ritz_version=dataset.attrs["ritz_version"],
        **{name: recipe[name] for name in ("about", "imported", "certified") if name in recipe},
    )
