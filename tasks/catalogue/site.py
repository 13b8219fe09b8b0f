"""The files of a catalogue where they are served: what changed is written, what is gone is removed."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Mapping
from contextlib import AbstractContextManager

from ritz.compute.document import DocumentPart
from ritz.storage.errors import StorageError
from ritz.storage.store import Store

MANIFEST = "ritz.json"
"""Says of which store the catalogue is, and which files are its own."""

LOCK = ".ritz.lock"

WAIT = 600.0
"""Seconds that one update waits for another, which may have many pages to draw."""

_OWN = ("catalogues", "comparisons", "datasets", "fits", "imports", "models", "runs")
"""Folders of a store, in which no catalogue may lie."""


class Update(DocumentPart):
    """What an update of a catalogue has changed: the keys of files that were written, and of those removed."""

    written: tuple[str, ...]
    removed: tuple[str, ...]


def opened(store: Store, to: str) -> Store:
    """Return the folder or prefix of a catalogue.

    Raises
    ------
    StorageError
        It is none, it cannot be written, it lies in the store, or something else lies there.
    """
    try:
        place = Store(to)
    except StorageError as error:
        raise StorageError(f"catalogue: {error}") from None
    inside = place.url.removeprefix(f"{store.url}/").split("/")[0] if place.url.startswith(f"{store.url}/") else ""
    if place.url == store.url or inside in _OWN:
        raise StorageError(
            f"catalogue {place.url}: it is in the store {store.url}, beside or among its data; expected a folder of "
            "its own"
        )
    _files(place, store)
    return place


def check(store: Store, to: str) -> None:
    """Refuse a catalogue that could not be written; see `opened`."""
    opened(store, to).check_writable()


def locked(place: Store) -> AbstractContextManager[None]:
    """Hold a catalogue for this process alone, once others have updated it."""
    return place.lock(LOCK, f"catalogue {place.url}", wait=WAIT)


def update(store: Store, place: Store, files: Mapping[str, bytes]) -> Update:
    """Make a catalogue hold these files; the same again changes no byte.

    Parameters
    ----------
    place
        As `opened` returns it; the caller holds its lock.
    files
        Content by key. Pages lie in folders of their own, and these go as a whole with the page.
    """
    before = _files(place, store)
    digests = {key: hashlib.sha256(data).hexdigest() for key, data in sorted(files.items())}
    _write(place, MANIFEST, _manifest(store, dict.fromkeys(before, "") | digests))
    gone = [key for key in before if key not in files]
    written = [key for key, data in sorted(files.items()) if _write(place, key, data)]
    for folder in _folders(gone, files):
        place.remove(folder)
    # At first and at last: should this be killed, the next update finds all that lies there by the list.
    _write(place, MANIFEST, _manifest(store, digests))
    return Update(written=tuple(written), removed=tuple(gone))


def _files(place: Store, store: Store) -> Collection[str]:
    """Return the keys of the files that a catalogue has now."""
    if not place.exists(MANIFEST):
        if there := [name for name in ("index.html", "catalog.json", "datasets", "models") if place.exists(name)]:
            raise StorageError(
                f"catalogue {place.url}: {there[0]} lies there, of no catalogue; expected a new or an empty folder"
            )
        return ()
    document = place.document(MANIFEST)
    files, of = document.get("files"), document.get("store")
    if document.get("format") != 1 or not isinstance(files, dict):
        raise StorageError(f"{place.location(MANIFEST)}: expected the list of a catalogue's files, of format 1")
    if of != store.url:
        raise StorageError(
            f"catalogue {place.url}: it is of the store {of!r}, not of {store.url}; name another folder, or remove "
            f"{place.location(MANIFEST)} and what it lists"
        )
    return tuple(files)


def _manifest(store: Store, digests: Mapping[str, str]) -> bytes:
    document = {"format": 1, "store": store.url, "files": dict(sorted(digests.items()))}
    return json.dumps(document, indent=1).encode() + b"\n"


def _write(place: Store, key: str, data: bytes) -> bool:
    """Write a file where it is another one; return whether."""
    if place.exists(key) and place.read(key) == data:
        return False
    place.write(key, data)
    return True


def _folders(gone: Collection[str], kept: Collection[str]) -> list[str]:
    """Return the folders in which there were only files that are gone, the topmost of each.

    Examples
    --------
    >>> _folders(["models/a/v1/index.html", "models/b/v1/index.html"], ["models/a/v2/index.html"])
    ['models/a/v1', 'models/b']
    """
    found = set()
    for key in gone:
        parts = key.split("/")
        for depth in range(2, len(parts)):
            folder = "/".join(parts[:depth])
            if not any(other.startswith(f"{folder}/") for other in kept):
                found.add(folder)
                break
    return sorted(found)
