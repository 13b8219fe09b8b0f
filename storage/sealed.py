"""Folders of files with a document about them, changed in one step, in which every flipped byte is noticed.

The document holds the digests of the files, and ``seal.json``, written last, holds that of the document. A change is
first written to a staging folder and takes effect with the seal that names it; from then on a reader takes files from
the staging folder until they are in place. So a killed process leaves the state before or the one after, each whole.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from functools import cached_property
from typing import Any, TypeVar

from ritz.storage.digests import digest, stamped, unstamped
from ritz.storage.documents import LARGEST, Json
from ritz.storage.errors import Damaged, StorageError
from ritz.storage.shapes import checked, expect
from ritz.storage.store import Store

SEAL = "seal.json"

DIGESTS = "digests"
"""Entry of the document: the digests of the files by their names."""

_ASIDE = ".next"

# Retries of a reader whose folder changes while it reads.
_CHANGES = 20

T = TypeVar("T")


class Sealed:
    """The present contents of a folder, read file by file and checked.

    Parameters
    ----------
    folder
        Key of the folder.
    document
        Name of the document about the files.
    """

    def __init__(self, store: Store, folder: str, document: str) -> None:
        self.store, self.folder, self.name = store, folder, document
        key = f"{folder}/{SEAL}"
        self._seal = store.read(key, LARGEST) if store.exists(key) else None

    def changed(self) -> bool:
        """Return whether another process has changed something since this was made."""
        return Sealed(self.store, self.folder, self.name)._seal != self._seal

    @property
    def sealed(self) -> bool:
        """Whether there are digests; what an older release saved has none."""
        return self._seal is not None or DIGESTS in self._whole

    @property
    def complete(self) -> bool:
        """Whether all files of the document exist, as far as the document is readable."""
        return self._seal is not None or not self.sealed

    @cached_property
    def document(self) -> Json:
        """The document, without the digests."""
        return {name: value for name, value in self._whole.items() if name != DIGESTS}

    @property
    def files(self) -> list[str]:
        """Names of the files, sorted."""
        if not self.sealed:
            return [name for name in self.store.list(self.folder) if name not in (self.name, SEAL)]
        self._check_seal()
        return sorted(self._digests)

    def file(self, name: str) -> bytes:
        """Return a file.

        Raises
        ------
        Damaged
            It has other bytes than were written.
        StorageError
            It is missing or cannot be read.
        """
        if not self.sealed:
            return self.store.read(f"{self.folder}/{name}")
        self._check_seal()
        return self._checked(name, self._digests[name])

    @cached_property
    def _state(self) -> Json:
        assert self._seal is not None
        state = unstamped(self._path(SEAL), self._seal)
        expect(self._path(SEAL), state, {"document": str, "changing": list})
        return state

    @cached_property
    def _whole(self) -> Json:
        if self._seal is None:
            return checked(self._path(self.name), self.store.read(f"{self.folder}/{self.name}", LARGEST), {})
        return checked(self._path(self.name), self._checked(self.name, self._state["document"]), {DIGESTS: dict})

    @property
    def _digests(self) -> dict[str, str]:
        return dict(self._whole[DIGESTS])

    def _check_seal(self) -> None:
        if self._seal is None:
            raise Damaged(
                f"{self._path(SEAL)}: missing; the process that wrote this folder was killed, and the same command "
                "completes it"
            )

    def _checked(self, name: str, wanted: str) -> bytes:
        keys = [f"{self.folder}/{name}"]
        if name in self._state["changing"]:
            keys.append(f"{self.folder}/{_ASIDE}/{name}")
        there = [key for key in keys if self.store.exists(key)]
        if not there:
            raise Damaged(f"{self._path(name)}: missing")
        for key in there:
            if digest(data := self.store.read(key, LARGEST if name == self.name else None)) == wanted:
                return data
        raise Damaged(f"{self._path(name)}: has other bytes than when it was written")

    def _path(self, name: str) -> str:
        return self.store.location(f"{self.folder}/{name}")


def consistent(store: Store, folder: str, document: str, use: Callable[[Sealed], T]) -> T:
    """Return the result of ``use`` on a folder; retry if another process changes the folder meanwhile.

    Raises
    ------
    StorageError
        Something is missing or damaged.
    """
    for _ in range(_CHANGES - 1):
        found = Sealed(store, folder, document)
        try:
            return use(found)
        except StorageError:
            if not found.changed():
                raise
    return use(Sealed(store, folder, document))


def write(
    store: Store, folder: str, document: str, files: Mapping[str, bytes], about: Mapping[str, Any], *, new: bool
) -> None:
    """Write files, the document about them and the seal, in this order; the caller is the only writer.

    Parameters
    ----------
    new
        Refuse to replace a file; see `ritz.storage.store.Store.write`.
    """
    for name, data in files.items():
        store.write(f"{folder}/{name}", data, new=new)
    text = encoded(about, {name: digest(data) for name, data in files.items()})
    store.write(f"{folder}/{document}", text, new=new)
    store.write(f"{folder}/{SEAL}", _seal(text), new=new)


def complete(store: Store, folder: str, document: str) -> bool:
    """Write the seal that a killed process has not come to, if all files are whole; return whether they are."""
    text = store.read(f"{folder}/{document}", LARGEST)
    digests = checked(store.location(f"{folder}/{document}"), text, {DIGESTS: dict})[DIGESTS]
    for name, wanted in digests.items():
        key = f"{folder}/{name}"
        if not store.exists(key) or digest(store.read(key)) != wanted:
            return False
    store.write(f"{folder}/{SEAL}", _seal(text))
    return True


def change(store: Store, folder: str, document: str, files: Mapping[str, bytes], about: Mapping[str, Any]) -> Json:
    """Add or replace files and entries of the document, all in one step; the caller is the only writer.

    Files that an older release saved without digests get the digests of their present contents.

    Returns
    -------
    dict
        The document after it, without the digests.
    """
    now = Sealed(store, folder, document)
    if now.sealed:
        now._check_seal()
        _settle(now)
        digests = now._digests
    else:
        digests = {name: digest(now.file(name)) for name in now.files}
    after = {**now.document, **about}
    text = encoded(after, {**digests, **{name: digest(data) for name, data in files.items()}})
    written = {**files, document: text}
    store.remove(f"{folder}/{_ASIDE}")
    for name, data in written.items():
        store.write(f"{folder}/{_ASIDE}/{name}", data)
    store.write(f"{folder}/{SEAL}", _seal(text, written))
    _settle(Sealed(store, folder, document))
    return after


def encoded(about: Mapping[str, Any], digests: Mapping[str, str]) -> bytes:
    """Return the bytes of a document about files; raises as `json.dumps` for what JSON cannot hold."""
    return json.dumps({**about, DIGESTS: dict(digests)}, allow_nan=False, indent=2).encode()


def _settle(now: Sealed) -> None:
    """Move staged files into place."""
    if not now._state["changing"]:
        return
    for name in now._state["changing"]:
        wanted = now._state["document"] if name == now.name else now._digests[name]
        now.store.write(f"{now.folder}/{name}", now._checked(name, wanted))
    now.store.write(f"{now.folder}/{SEAL}", stamped({**now._state, "changing": []}))
    now.store.remove(f"{now.folder}/{_ASIDE}")


def _seal(document: bytes, changing: Iterable[str] = ()) -> bytes:
    return stamped({"document": digest(document), "changing": sorted(changing)})
