from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

from ritz.storage import sealed
from ritz.storage.documents import LARGEST, Json
from ritz.storage.errors import Damaged, StorageError, Unknown
from ritz.storage.names import check_name, split_spec, version_number
from ritz.storage.shapes import Found, checked, expect
from ritz.storage.store import Store
from ritz.storage.wording import shown

log = logging.getLogger("ritz")

_CARD = "card.json"

_SHAPE = {"identity": str}

_SOURCE = {"dataset": {"name": str, "snapshot": str}}
"""Required entries of a card about the dataset of its training."""


@dataclass(frozen=True)
class StoredModel:
    """One version of a model: a folder with its files and its card."""

    name: str
    """The model."""
    version: str
    """``"v1"``, ``"v2"``, …"""
    identity: str
    """What the card says fixed the model."""

    @property
    def spec(self) -> str:
        """``"name@v1"``, by which it can be loaded."""
        return f"{self.name}@{self.version}"


def save(store: Store, name: str, files: Mapping[str, bytes], card: Mapping[str, Any]) -> StoredModel:
    """Store a model as its next version; the version there is, if one has the same identity.

    The version counts from its card on. The card holds the digests of the files, and the seal, which is written last,
    that of the card (`ritz.storage.sealed`); where a process was killed between the two, the same call completes it.

    Parameters
    ----------
    store, name
        Where, and under which name.
    files
        Content by file name; ``card.json`` is written from ``card``.
    card
        What JSON can hold; ``identity`` (str) fixes the model: dataset snapshot, surrogate, training.

    Raises
    ------
    StorageError
        A name is not allowed, the card has no identity or is no JSON, or the store cannot be written.
    """
    check_name("model", name)
    identity = card.get("identity")
    if not isinstance(identity, str) or not identity:
        raise StorageError(f"model {name!r}: the card needs an identity, got {identity!r}")
    _check_card(name, card)
    _check_files(name, files)
    with _lock(store, name):
        known, damaged = _look(store, name)
        for one in known:
            if one.identity == identity:
                return one
        for version in damaged:
            if _completed(store, name, version, identity):
                return StoredModel(name, version, identity)
        # A version that is damaged keeps its number: nothing of it is written over.
        numbers = [version_number(version) or 0 for version in (*(one.version for one in known), *damaged)]
        saved = StoredModel(name, f"v{max(numbers, default=0) + 1}", identity)
        # What a process left that was killed here.
        store.remove(_folder(saved))
        sealed.write(store, _folder(saved), _CARD, files, card, new=True)
    return saved


def load(store: Store, spec: str) -> tuple[dict[str, bytes], Json]:
    """Return the files and the card of ``"name"``, ``"name@latest"`` or ``"name@v2"``.

    A model saved without digests is not checked; the log says so once.

    Raises
    ------
    Unknown
        There is no such model or version; the message lists those there are.
    StorageError
        A file is missing or has other bytes than were written; the message names it.
    """

    def whole(now: sealed.Sealed) -> tuple[dict[str, bytes], Json]:
        if not now.sealed:
            _unchecked(store.url, found.spec)
        return {name: now.file(name) for name in now.files}, now.document

    found = resolve(store, spec)
    return sealed.consistent(store, _folder(found), _CARD, whole)


def add(store: Store, spec: str, files: Mapping[str, bytes], parts: Mapping[str, Any]) -> Json:
    """Add or replace files and entries of the card of a version, all in one step: what was measured later.

    Returns
    -------
    dict
        The card.

    Raises
    ------
    Unknown
        There is no such model or version.
    StorageError
        An entry is ``identity``, or no JSON.
    """
    found = resolve(store, spec)
    _check_files(found.name, files)
    if "identity" in parts:
        raise StorageError(f"model {found.spec}: the identity of a card is fixed")
    _check_card(found.name, parts)
    with _lock(store, found.name):
        return sealed.change(store, _folder(found), _CARD, files, parts)


def update(store: Store, spec: str, file: str, data: bytes) -> None:
    """Add or replace one file of a version, as `add`."""
    add(store, spec, {file: data}, {})


def amend(store: Store, spec: str, parts: Mapping[str, Any]) -> Json:
    """Add entries to the card of a version, or replace them, as `add`."""
    return add(store, spec, {}, parts)


def read_card(store: Store, spec: str) -> Json:
    """Return the card of a version alone; spec and errors as `load`."""
    return sealed.consistent(store, _folder(resolve(store, spec)), _CARD, lambda now: now.document)


def read_file(store: Store, spec: str, file: str) -> bytes | None:
    """Return one file of a version, None if it has none of that name; spec and errors as `load`."""

    def one(now: sealed.Sealed) -> bytes | None:
        return now.file(file) if file in now.files else None

    return sealed.consistent(store, _folder(resolve(store, spec)), _CARD, one)


def files(store: Store, spec: str) -> tuple[str, ...]:
    """Return the names of the files of a version, sorted; spec and errors as `load`."""
    return sealed.consistent(store, _folder(resolve(store, spec)), _CARD, lambda now: tuple(now.files))


def location(store: Store, spec: str, file: str) -> str:
    """Return the path or URL of one file of a version, for a person to open; spec and errors as `load`."""
    return store.location(f"{_folder(resolve(store, spec))}/{file}")


def read_document(store: Store, spec: str, file: str) -> Json | None:
    """Return what one JSON file of a version holds, None if it has none of that name; spec and errors as `load`."""
    data = read_file(store, spec, file)
    return None if data is None else checked(store.location(f"{_folder(resolve(store, spec))}/{file}"), data, {})


def check(store: Store, name: str, version: str) -> tuple[list[StorageError], int, bool]:
    """Look at every file of a version.

    Returns
    -------
    list of StorageError, int, bool
        Missing, damaged and foreign files; the number of checked files; whether they have digests.
    """
    key, damaged = f"models/{check_name('model', name)}/{version}", list[StorageError]()

    def looked(now: sealed.Sealed) -> tuple[int, bool]:
        for file in now.files:
            try:
                now.file(file)
            except StorageError as error:
                if now.changed():
                    raise
                damaged.append(error)
        # What an update that was killed left aside is hidden, and no part of it.
        for file in sorted({*store.list(key)} - {*now.files, _CARD, sealed.SEAL}):
            damaged.append(Damaged(f"{store.location(f'{key}/{file}')}: no file of the model"))
        return len(now.files) + 1 + now.sealed, now.sealed

    try:
        count, with_digests = sealed.consistent(store, key, _CARD, looked)
    except StorageError as error:
        return [error], 1, True
    return damaged, count, with_digests


def resolve(store: Store, spec: str) -> StoredModel:
    """Return the version that ``"name"``, ``"name@latest"`` or ``"name@v2"`` means.

    Raises
    ------
    Unknown
        There is no such model or version; the message lists those there are.
    StorageError
        There is one, and its card is damaged.
    """
    name, version = named(store, spec)
    known, damaged = _look(store, name)
    if version in damaged:
        raise damaged[version]
    return next(one for one in known if one.version == version)


def named(store: Store, spec: str) -> tuple[str, str]:
    """Return the name and the version that a spec means, also of one that is damaged.

    Raises
    ------
    Unknown
        There is no such model or version; the message lists those there are.
    """
    name, version = split_spec("model", spec)
    known, damaged = _look(store, name)
    there = [*(one.version for one in known), *(one for one in damaged if version_number(one) is not None)]
    if not there:
        listed = store.known(name, dict.fromkeys(one.name for one in look(store).good))
        raise Unknown(f"model {name!r}: not in {store.url}; there are: {listed}")
    there.sort(key=lambda one: version_number(one) or 0)
    if version == "latest":
        version = there[-1]
    if version in there:
        return name, version
    raise Unknown(f"model {name!r} has no version {shown(version)}; there are: {', '.join(there)}")


def versions(store: Store, name: str) -> list[StoredModel]:
    """Return the versions of a model, oldest first; none where there is no such model."""
    known, damaged = _look(store, name)
    return Found(known, list(damaged.values())).named()


def look(store: Store) -> Found[StoredModel]:
    """Return all versions of all models, by name, oldest first, and the damaged ones."""
    good: list[StoredModel] = []
    bad: list[StorageError] = []
    for name in store.list("models"):
        try:
            known, damaged = _look(store, check_name(f"{store.location('models')}: model", name))
        except StorageError as error:
            bad.append(error)
        else:
            good += known
            bad += damaged.values()
    return Found(good, bad)


def list_models(store: Store) -> list[StoredModel]:
    """Return all versions of all models, by name, oldest first; the log names damaged ones."""
    return look(store).named()


def _look(store: Store, name: str) -> tuple[list[StoredModel], dict[str, StorageError]]:
    """Return the versions of a model by number, and why others cannot be read."""
    cards, seals = (store.documents(f"models/{name}", file) for file in (_CARD, sealed.SEAL))
    known, damaged = [], {}
    for version in sorted({*cards, *seals}, key=lambda one: (version_number(one) or 0, one)):
        place = f"models/{name}/{version}"
        if version_number(version) is None:
            if isinstance(error := cards.get(version), StorageError):
                damaged[version] = error
            continue
        try:
            if isinstance(card := cards.get(version, b""), StorageError):
                raise card
            if version in seals:
                about = sealed.consistent(store, place, _CARD, lambda now: now.document)
            else:
                about = checked(store.location(f"{place}/{_CARD}"), card, {})
                if sealed.DIGESTS in about:
                    # Says that it has no seal.
                    sealed.consistent(store, place, _CARD, lambda now: now.files)
            expect(store.location(f"{place}/{_CARD}"), about, _SHAPE | (_SOURCE if "dataset" in about else {}))
            known.append(StoredModel(name, version, about["identity"]))
        except StorageError as error:
            damaged[version] = error
    return known, damaged


def _completed(store: Store, name: str, version: str, identity: str) -> bool:
    """Complete a version that a killed process has not sealed, if it is the one of this identity; return whether."""
    place = f"models/{name}/{version}"
    if version_number(version) is None or store.exists(f"{place}/{sealed.SEAL}"):
        return False
    try:
        card = checked(store.location(f"{place}/{_CARD}"), store.read(f"{place}/{_CARD}", LARGEST), _SHAPE)
        return bool(card["identity"] == identity) and sealed.complete(store, place, _CARD)
    except StorageError:
        # Lists and loads name what is damaged there.
        return False


@cache
def _unchecked(url: str, spec: str) -> None:
    log.warning(
        "model %s in %s was saved by a release that wrote no digests: what is loaded is not checked for damage; the "
        "next `ritz evaluate` or `ritz quantify` writes them",
        spec,
        url,
    )


def _lock(store: Store, name: str) -> Any:
    return store.lock(f"models/.{name}.lock", f"model {name!r} in {store.url}", wait=30.0)


def _folder(version: StoredModel) -> str:
    return f"models/{version.name}/{version.version}"


def _check_card(name: str, card: Mapping[str, Any]) -> None:
    if sealed.DIGESTS in card:
        raise StorageError(f"model {name!r}: {sealed.DIGESTS!r} is written from the files")
    try:
        sealed.encoded(card, {})
    except (TypeError, ValueError) as error:
        raise StorageError(f"model {name!r}: the card must be what JSON can hold: {error}") from error


def _check_files(name: str, files: Mapping[str, bytes]) -> None:
    for file in files:
        check_name(f"model {name!r}: file", file)
        if file in (_CARD, sealed.SEAL):
            raise StorageError(f"model {name!r}: {file} is written from the card")
