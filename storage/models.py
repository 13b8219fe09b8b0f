from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from storage.documents import mapping
from storage.errors import StorageError, Unknown
from storage.names import check_name, split_spec, version_number
from storage.store import Store
from storage.wording import shown

_CARD = "card.json"


@dataclass(frozen=True)
class ModelVersion:
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


def save(store: Store, name: str, files: Mapping[str, bytes], card: Mapping[str, Any]) -> ModelVersion:
    """Store a model as its next version; the version there is, if one has the same identity.

    The version counts from its card on, which is written last.

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
    text = _text(name, card)
    _check_files(name, files)
    with store.lock(f"models/.{name}.lock", f"model {name!r} in {store.url}", wait=30.0):
        known = versions(store, name)
        for one in known:
            if one.identity == identity:
                return one
        number = (version_number(known[-1].version) or 0) + 1 if known else 1
        saved = ModelVersion(name, f"v{number}", identity)
        # What a process left that was killed here.
        store.remove(_folder(saved))
        for file, data in {**files, _CARD: text}.items():
            store.write(f"{_folder(saved)}/{file}", data, new=True)
    return saved


def load(store: Store, spec: str) -> tuple[dict[str, bytes], dict[str, Any]]:
    """Return the files and the card of ``"name"``, ``"name@latest"`` or ``"name@v2"``.

    Raises
    ------
    Unknown
        There is no such model or version; the message lists those there are.
    """
    key = _folder(resolve(store, spec))
    names = [name for name in store.list(key) if name != _CARD]
    return {name: store.read(f"{key}/{name}") for name in names}, _card(store, key)


def update(store: Store, spec: str, file: str, data: bytes) -> ModelVersion:
    """Add or replace one file of a version in one step, e.g. bands computed later; the card stays.

    Raises
    ------
    Unknown
        There is no such model or version.
    """
    found = resolve(store, spec)
    _check_files(found.name, {file: data})
    store.write(f"{_folder(found)}/{file}", data)
    return found


def amend(store: Store, spec: str, parts: Mapping[str, Any]) -> dict[str, Any]:
    """Add entries to the card of a version, or replace them, in one step: what was measured later. Returns the card.

    Raises
    ------
    Unknown
        There is no such model or version.
    StorageError
        An entry is ``identity``, or no JSON.
    """
    found = resolve(store, spec)
    if "identity" in parts:
        raise StorageError(f"model {found.spec}: the identity of a card is fixed")
    with store.lock(f"models/.{found.name}.lock", f"model {found.name!r} in {store.url}", wait=30.0):
        card = {**_card(store, _folder(found)), **parts}
        store.write(f"{_folder(found)}/{_CARD}", _text(found.name, card))
    return card


def read_card(store: Store, spec: str) -> dict[str, Any]:
    """Return the card of a version alone; spec and errors as `load`."""
    return _card(store, _folder(resolve(store, spec)))


def read_file(store: Store, spec: str, file: str) -> bytes | None:
    """Return one file of a version, None if it has none of that name; spec and errors as `load`."""
    key = f"{_folder(resolve(store, spec))}/{file}"
    return store.read(key) if store.exists(key) else None


def resolve(store: Store, spec: str) -> ModelVersion:
    """Return the version that ``"name"``, ``"name@latest"`` or ``"name@v2"`` means.

    Raises
    ------
    Unknown
        There is no such model or version; the message lists those there are.
    """
    name, version = split_spec("model", spec)
    known = versions(store, name)
    if not known:
        listed = store.known(name, (one.name for one in list_models(store)))
        raise Unknown(f"model {name!r}: not in {store.url}; there are: {listed}")
    for one in reversed(known):
        if version in ("latest", one.version):
            return one
    listed = ", ".join(one.version for one in known)
    raise Unknown(f"model {name!r} has no version {shown(version)}; there are: {listed}")


def versions(store: Store, name: str) -> list[ModelVersion]:
    """Return the versions of a model, oldest first; none where there is no such model."""
    cards = store.documents(f"models/{name}", _CARD)
    found = sorted((number, version) for version in cards if (number := version_number(version)) is not None)
    return [
        ModelVersion(name, version, _identity(store, f"models/{name}/{version}", cards[version]))
        for _, version in found
    ]


def list_models(store: Store) -> list[ModelVersion]:
    """Return all versions of all models, by name, oldest first."""
    return [version for name in store.list("models") for version in versions(store, name)]


def _identity(store: Store, key: str, card: bytes) -> str:
    return str(mapping(card, store.location(f"{key}/{_CARD}"))["identity"])


def _folder(version: ModelVersion) -> str:
    return f"models/{version.name}/{version.version}"


def _card(store: Store, key: str) -> dict[str, Any]:
    return store.document(f"{key}/{_CARD}")


def _text(name: str, card: Mapping[str, Any]) -> bytes:
    try:
        return json.dumps(dict(card), allow_nan=False, indent=2).encode()
    except (TypeError, ValueError) as error:
        raise StorageError(f"model {name!r}: the card must be what JSON can hold: {error}") from error


def _check_files(name: str, files: Mapping[str, bytes]) -> None:
    for file in files:
        check_name(f"model {name!r}: file", file)
        if file == _CARD:
            raise StorageError(f"model {name!r}: {_CARD} is written from the card")
