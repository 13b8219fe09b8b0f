"""The history of a dataset: all that its refs lead to, looked at file by file.

An old state is read by nobody until it is asked for by its id, or a collection of garbage goes through it, and fails on
a damaged file. So publishing and collecting write the digests of all files of the history there are. What was committed
since has none yet, and is looked at as far as its structure goes.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass

import icechunk
from numcodecs import zstd

from ritz.storage.digests import digest, stamped, unstamped
from ritz.storage.documents import LARGEST
from ritz.storage.errors import StorageError
from ritz.storage.integrity.objects import HEADER, branch_file, pointed_at
from ritz.storage.integrity.seals import Damage, read_seal
from ritz.storage.names import version_number
from ritz.storage.repository import BRANCH, attach, panics_are_errors
from ritz.storage.shapes import expect
from ritz.storage.store import Store

FOLDERS = ("snapshots", "manifests", "transactions")

_KINDS = {"snapshots": 1, "manifests": 2, "transactions": 4}
"""What the byte of a file's header says that tells what it is."""


@dataclass(frozen=True)
class History:
    """What was found out about the files of a history.

    Attributes
    ----------
    damage
        Description of the damage.
    checked
        How many files were looked at.
    without
        How many of them have no digest, because they were committed since, or by a release that wrote none.
    """

    damage: tuple[Damage, ...]
    checked: int
    without: int


def record(store: Store, key: str) -> None:
    """Write the digests of all files of a history; those that are known stay as they are.

    The caller holds the dataset's lock.
    """
    known = _known(store, key) or {}
    there = set(_files(store, key))
    new = sorted(there - set(known))
    # In a bucket each of them is an answer to wait for.
    with ThreadPoolExecutor(16) as pool:
        digests = dict(zip(new, pool.map(lambda file: digest(store.read(f"{key}/{file}")), new), strict=True))
    if new or set(known) - there:
        kept = {file: wanted for file, wanted in known.items() if file in there}
        store.write(history_key(key), stamped({"files": dict(sorted({**kept, **digests}.items()))}))


def forget(store: Store, key: str) -> None:
    """Take the digests away, before what they belong to is changed."""
    store.write(history_key(key), stamped({"files": {}}))


def history_key(key: str) -> str:
    """Return where the digests of a history lie."""
    return f"{key}/seals/history.json"


def check(store: Store, key: str) -> History:
    """Look at every file of a history: digests, structure, and whether what refs and states name is there."""
    damage: list[Damage] = []
    try:
        known = _known(store, key) or {}
    except StorageError as error:
        damage.append(Damage(history_key(key), str(error)))
        known = {}
    there = set(_files(store, key))
    damage += [Damage(f"{key}/{file}", "missing") for file in sorted(set(known) - there)]
    for file in sorted(there):
        if what := _fault(store, key, file, known.get(file)):
            damage.append(Damage(f"{key}/{file}", what))
    damage += _refs(store, key, there | set(known))
    if not damage:
        damage += _led_through(store, key)
    refs = len(store.list(f"{key}/refs"))
    return History(tuple(damage), len(there | set(known)) + refs, len(there - set(known)))


def _known(store: Store, key: str) -> dict[str, str] | None:
    place = history_key(key)
    if not store.exists(place):
        return None
    document = unstamped(store.location(place), store.read(place, LARGEST))
    expect(store.location(place), document, {"files": dict})
    return dict(document["files"])


def _files(store: Store, key: str) -> Iterator[str]:
    """Yield the files that a history consists of, but its refs, which change, and chunks, which have checksums."""
    for folder in FOLDERS:
        yield from (f"{folder}/{name}" for name in store.list(f"{key}/{folder}"))
    yield from (name for name in store.list(key) if name not in (*FOLDERS, "chunks", "refs", "seals"))


def _fault(store: Store, key: str, file: str, wanted: str | None) -> str:
    """Return the damage of a file; empty for an unchanged file or one that looks whole."""
    try:
        data = store.read(f"{key}/{file}", LARGEST)
    except StorageError as error:
        return str(error)
    if wanted is not None:
        return "" if digest(data) == wanted else "has other bytes than when it was written"
    folder = file.partition("/")[0]
    if folder not in _KINDS:
        return ""
    try:
        _opened(data, _KINDS[folder])
    except (ValueError, RuntimeError, struct.error) as error:
        return f"is no file of the engine ({error})"
    return ""


def _opened(data: bytes, kind: int) -> bytes:
    if len(data) <= HEADER or not data.startswith(b"ICE\xf0\x9f\xa7\x8aCHUNK"):
        raise ValueError("its beginning is another")
    if data[HEADER - 2] != kind:
        raise ValueError(f"its header says that it is of kind {data[HEADER - 2]}, expected {kind}")
    return bytes(zstd.decompress(data[HEADER:]))


def _refs(store: Store, key: str, files: set[str]) -> Iterator[Damage]:
    """Yield which refs lead to no file that there is or was, or not to what was published."""
    names = store.list(f"{key}/refs")
    if f"branch.{BRANCH}" not in names:
        yield Damage(f"{key}/{branch_file()}", "missing")
    for name in names:
        file = f"refs/{name}/ref.json"
        try:
            snapshot = pointed_at(store, key, file)
        except StorageError as error:
            yield Damage(f"{key}/{file}", str(error))
            continue
        if f"snapshots/{snapshot}" not in files:
            yield Damage(f"{key}/{file}", f"means the snapshot {snapshot}, which is not there")
    for name in store.list(f"{key}/seals"):
        tag = name.removesuffix(".json")
        if version_number(tag) is None:
            continue
        place = f"{key}/seals/{name}"
        try:
            sealed = read_seal(store, key, tag).snapshot
        except StorageError as error:
            yield Damage(place, str(error))
            continue
        # A ref that cannot be read is named above.
        with suppress(StorageError):
            if f"tag.{tag}" in names and pointed_at(store, key, f"refs/tag.{tag}/ref.json") != sealed:
                yield Damage(
                    f"{key}/refs/tag.{tag}/ref.json", "does not hold the id of the snapshot that was published"
                )


def _led_through(store: Store, key: str) -> Iterable[Damage]:
    """Yield what keeps the engine from going through the states that refs lead to."""
    try:
        with panics_are_errors():
            repository = attach(store, key)
            for tag in (None, *sorted(repository.list_tags())):
                states = repository.ancestry(branch=BRANCH) if tag is None else repository.ancestry(tag=tag)
                for state in states:
                    repository.inspect_snapshot(state.id)
    except (icechunk.IcechunkError, StorageError, RuntimeError, ValueError) as error:
        yield Damage(key, f"the engine cannot go through its history: {str(error).strip().splitlines()[0]}")
