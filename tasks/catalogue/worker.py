"""Writing the catalogue of a store."""

from __future__ import annotations

import logging
from pathlib import PurePosixPath

from ritz.compute.document import DocumentPart
from ritz.storage.store import Store
from ritz.tasks.catalogue import dataset_page, index_page, llms, material, model_page, named, stac
from ritz.tasks.catalogue import site as sites
from ritz.tasks.catalogue.addresses import INDEX
from ritz.tasks.catalogue.addresses import collection as collection_of
from ritz.tasks.catalogue.addresses import dataset_page as page_of_dataset
from ritz.tasks.catalogue.addresses import model_page as page_of_model
from ritz.tasks.catalogue.contents import Contents, contents

log = logging.getLogger("ritz")


class Catalogued(DocumentPart):
    """What a catalogue has now.

    Attributes
    ----------
    index
        Path or URL of its first page.
    datasets, models
        How many have a page.
    written, removed
        Files that this update wrote anew, and those of what is gone.
    """

    index: str
    datasets: int
    models: int
    written: tuple[str, ...]
    removed: tuple[str, ...]


def catalogue(store_url: str, to: str, newest: int | None = None) -> Catalogued:
    """Write or update the catalogue of a store: a static site, which opens from a folder and is served by a bucket.

    The same again changes no byte. What is gone from the store, or damaged there, leaves no page.

    Parameters
    ----------
    to
        Folder or URL of the catalogue.
    newest
        How many versions of each dataset and model are listed, the newest; all by default.

    Raises
    ------
    ritz.storage.errors.StorageError
        If the catalogue cannot be written, or something else lies there.
    """
    store = Store(store_url)
    place = sites.opened(store, to)
    place.check_writable()
    with sites.locked(place):
        # Read now, so that the last of several updates tells of all that was there before it.
        told = contents(store, newest)
        # Before the pages are there: what they name must not go meanwhile.
        named.keep(told, place)
        update = sites.update(store, place, _files(told))
    return Catalogued(
        index=place.location(INDEX),
        datasets=len(told.datasets),
        models=len(told.models),
        written=update.written,
        removed=update.removed,
    )


def _files(told: Contents) -> dict[str, bytes]:
    title = PurePosixPath(told.store.url).name
    files = {
        INDEX: index_page.rendered(told, title),
        "catalog.json": stac.catalog(told, title),
        "llms.txt": llms.text(told, title),
    }
    for dataset in told.datasets:
        files[page_of_dataset(dataset.name)] = dataset_page.rendered(
            told, dataset, material.of_dataset(told.store, dataset)
        )
        files[collection_of(dataset.name)] = stac.of_dataset(dataset)
    for model in told.models:
        address = page_of_model(model.entry.name, model.entry.version)
        files[address] = model_page.rendered(told, model, *material.of_model(told.store, model))
    return files
