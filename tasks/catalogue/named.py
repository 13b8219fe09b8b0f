"""Which versions the catalogues of a store name; what is named is kept."""

from __future__ import annotations

import hashlib
import json
import logging

from ritz.storage.errors import StorageError
from ritz.storage.shapes import Found, checked
from ritz.storage.store import Store
from ritz.tasks.catalogue.contents import Contents

log = logging.getLogger("ritz")

FOLDER = "catalogues"

_FILE = "named.json"


def keep(contents: Contents, place: Store) -> None:
    """Note in the store which versions a catalogue names, so that no collection of garbage takes them away."""
    key = f"{FOLDER}/{hashlib.sha256(place.url.encode()).hexdigest()[:16]}/{_FILE}"
    data = json.dumps({"catalogue": place.url, "datasets": contents.named()}, indent=1).encode() + b"\n"
    store = contents.store
    try:
        if not store.exists(key) or store.read(key) != data:
            store.write(key, data)
    except StorageError as error:
        log.warning(
            "catalogue: the store does not know that %s names its versions, and `ritz gc --keep` may delete them: %s",
            place.url,
            error,
        )


def named_by_catalogues(store: Store) -> tuple[dict[tuple[str, str], list[str]], list[StorageError]]:
    """Return which catalogues name which version of which dataset, and what of these is damaged.

    Returns
    -------
    dict, list of StorageError
        Catalogues by name of the dataset and version, ``"v1"``.
    """
    found: dict[tuple[str, str], list[str]] = {}
    damaged: list[StorageError] = []
    good: list[dict[str, object]] = []
    for folder, data in store.documents(FOLDER, _FILE).items():
        try:
            good.append(
                dict(checked(store.location(f"{FOLDER}/{folder}/{_FILE}"), data, {"catalogue": str, "datasets": dict}))
            )
        except StorageError as error:
            damaged.append(error)
    for document in Found(good, damaged).good:
        datasets = document["datasets"]
        assert isinstance(datasets, dict)
        for name, versions in datasets.items():
            for version in versions:
                found.setdefault((str(name), str(version)), []).append(str(document["catalogue"]))
    return found, damaged
