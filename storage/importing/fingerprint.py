"""Which bytes a file or folder of somebody else has, in memory of one block."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from ritz.storage.errors import StorageError

BLOCK = 2**22
"""Bytes that are read at a time; 4 MiB."""


class Stamp(NamedTuple):
    """Size in bytes and time of the last change, in ns, of a file; of a folder the sum and the latest of its files."""

    bytes: int
    changed: int


def stamp(path: Path) -> Stamp:
    """Return what tells, without reading it, that a file or folder has changed."""
    stats = [one.stat() for one in _inside(path)]
    return Stamp(sum(one.st_size for one in stats), max((one.st_mtime_ns for one in stats), default=0))


def fingerprint(path: Path) -> str:
    """Return the SHA-256 of a file; of a folder that of the names and digests of its files.

    Raises
    ------
    StorageError
        It cannot be read.
    """
    try:
        if not path.is_dir():
            return _digest(path)
        whole = hashlib.sha256()
        for one in _inside(path):
            whole.update(f"{one.relative_to(path).as_posix()}\0{_digest(one)}\n".encode())
        return whole.hexdigest()
    except OSError as error:
        raise StorageError(f"{path}: cannot be read ({error.strerror})") from error


def _inside(path: Path) -> Iterator[Path]:
    yield from sorted(one for one in path.rglob("*") if one.is_file()) if path.is_dir() else [path]


def _digest(path: Path) -> str:
    found = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(BLOCK):
            found.update(block)
    return found.hexdigest()
