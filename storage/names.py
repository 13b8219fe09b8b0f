from __future__ import annotations

import re

from ritz.storage.errors import StorageError
from ritz.storage.wording import shown

# A leading dot or dash is left to lock files, folders being written and command-line options.
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
_LONGEST = 100
_VERSION = re.compile(r"v[1-9][0-9]*")


def check_name(kind: str, name: str) -> str:
    """Return ``name``, or raise with the reason why it cannot be the name of a ``kind``.

    Parameters
    ----------
    kind
        Kind of the named thing, for the message: ``"dataset"``, ``"model"``, ``"run"``.
    name
        1 to 100 letters, digits, ``-``, ``_`` or ``.``, beginning with a letter or a digit.

    Raises
    ------
    StorageError
        The name has other characters (path separators among them), or is empty or too long.
    """
    if not _NAME.fullmatch(name):
        raise StorageError(
            f"{kind} name {shown(name)}: expected 1 to 100 letters, digits, '-', '_' or '.', "
            "beginning with a letter or a digit"
        )
    return name


def split_spec(kind: str, spec: str) -> tuple[str, str]:
    """Split ``"name@version"`` into name and version; the version is ``"latest"`` where none is given.

    Raises
    ------
    StorageError
        The name is not allowed, or the part after ``@`` is empty or far too long.
    """
    name, at, version = spec.partition("@")
    check_name(kind, name)
    if len(version) > _LONGEST:
        raise StorageError(f"{kind} {shown(spec)}: expected a version such as v1, latest or the id of a snapshot")
    if at and not version:
        raise StorageError(f"{kind} {shown(spec)}: expected a version after '@', as in {name}@v1 or {name}@latest")
    return name, version or "latest"


def version_number(version: str) -> int | None:
    """Return 3 for ``"v3"``, None for a name that is not a version's."""
    return int(version[1:]) if _VERSION.fullmatch(version) else None


def dataset_key(name: str) -> str:
    """Return the key of the folder in which a dataset lies.

    Raises
    ------
    StorageError
        It cannot be the name of a dataset.
    """
    return f"datasets/{check_name('dataset', name)}"


def lock_key(name: str) -> str:
    """Return the key of the lock that the process which commits to a dataset holds."""
    return f"datasets/.{check_name('dataset', name)}.lock"
