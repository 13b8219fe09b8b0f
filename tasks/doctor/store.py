"""Access to the store, and whether its locks hold."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from ritz.storage.backends.file_system import faults, mounted
from ritz.storage.errors import StorageError
from ritz.storage.listing import look_at_datasets
from ritz.storage.store import Store
from ritz.tasks.doctor.finding import Finding
from ritz.tasks.doctor.room import standing


def store(url: str) -> Iterator[Finding]:
    """Look whether the store can be read and written, and whether locks and renames hold there; makes no store."""
    try:
        place = Store(url)
        there = not place.nothing()
        count = len(look_at_datasets(place).good) if there else 0
        if "://" in place.url:
            place.check_writable()
    except StorageError as error:
        yield Finding(subject="store", state="fail", said=str(error), todo="see Stores in docs/cluster.md")
        return
    held = f"{count} dataset{'' if count == 1 else 's'}" if there else "nothing yet; a run makes it"
    if "://" in place.url:
        yield Finding(
            subject="store", state="ok", said=f"{place.url}: {held}; conditional writes hold, and so locks do"
        )
        return
    yield from _folder(place.url, held)


def _folder(url: str, held: str) -> Iterator[Finding]:
    folder = standing(Path(url))
    try:
        found = list(faults(folder))
    except OSError as error:
        todo = "give yourself the right to write there, or name another --store"
        yield Finding(subject="store", state="fail", said=f"{folder} cannot be written ({error.strerror})", todo=todo)
        return
    yield Finding(subject="store", state="ok", said=f"{url}: {held}; writable")
    kind = mounted(folder)[0] or "this file system"
    if found:
        todo = "two runs may work on one dataset: name a --store on another file system, or mount it with shared locks"
        yield Finding(subject="locks", state="fail", said="; ".join(found), todo=todo)
    else:
        said = f"flock keeps another process out, and a rename replaces a file, on {kind}"
        yield Finding(subject="locks", state="ok", said=said)
