"""Which snapshot a version is, found without the engine: a damaged file is named, not stumbled over."""

from __future__ import annotations

from dataclasses import dataclass

from ritz.storage.datasets import Dataset
from ritz.storage.errors import StorageError, Unknown
from ritz.storage.integrity.objects import branch_file, pointed_at, snapshot_file, tag_file, tags
from ritz.storage.integrity.seals import Damage, Seal, broken, read_seal, seal_key
from ritz.storage.names import dataset_key, split_spec, version_number
from ritz.storage.store import Store
from ritz.storage.wording import shown


@dataclass(frozen=True)
class Located:
    """A requested version, located by its files, without the engine.

    Attributes
    ----------
    name, version
        As in ``name@version``; a snapshot's id where it was not published.
    snapshot
        None if the files that name it are damaged.
    seal
        None for what was not published, or if it is damaged.
    damage
        Damage of the files that describe the version.
    checked
        How many files were compared with the seal.
    """

    name: str
    version: str
    snapshot: str | None
    seal: Seal | None
    damage: tuple[Damage, ...]
    checked: int


def locate(store: Store, spec: str) -> Located:
    """Find a version and compare the files that describe it with its seal; a damaged one raises nothing.

    Raises
    ------
    Unknown
        There is no such dataset or version; the message lists those there are.
    """
    name, version = split_spec("dataset", spec)
    key = dataset_key(name)
    if not store.exists(key):
        # Says which datasets there are.
        Dataset.open(store, name)
    known = tags(store, key)
    if version == "latest" and known:
        version = known[-1]
    if version == "head":
        version = pointed_at(store, key, branch_file())
    if version not in known:
        # A published snapshot is the version that it is.
        version = next((tag for tag in known if _pointed_at(store, key, tag) == version), version)
    if version_number(version) is None and (version == "latest" or not store.exists(f"{key}/{snapshot_file(version)}")):
        _unknown(store, name, version, known)
    if version_number(version) is None:
        return Located(name, version, version, None, (), 0)
    if version not in known and not store.exists(seal_key(key, version)):
        _unknown(store, name, version, known)
    return _published(store, name, version)


def _published(store: Store, name: str, version: str) -> Located:
    key = dataset_key(name)
    found, pointed = [], _pointed_at(store, key, version)
    try:
        kept = read_seal(store, key, version)
    except StorageError as error:
        kept = None
        found.append(Damage(seal_key(key, version), str(error)))
    if pointed is None or (kept and kept.snapshot != pointed):
        what = "does not hold the id of the snapshot that was published"
        if not store.exists(f"{key}/{tag_file(version)}"):
            what = "missing; that is also what a run leaves that was killed while it published"
        found.append(Damage(f"{key}/{tag_file(version)}", what))
    if kept is None:
        return Located(name, version, pointed, None, tuple(found), 0)
    return Located(name, version, kept.snapshot, kept, (*found, *broken(store, key, kept)), len(kept.files) + 1)


def _pointed_at(store: Store, key: str, tag: str) -> str | None:
    try:
        return pointed_at(store, key, tag_file(tag))
    except StorageError:
        return None


def _unknown(store: Store, name: str, version: str, known: list[str]) -> None:
    listed = ", ".join(known) or f"none yet ({name}@head is the state now)"
    raise Unknown(f"dataset {name!r} in {store.url} has no version {shown(version)}; there are: {listed}")
