"""Files and folders outside a store that are written for a user: never half, never over something."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path

from ritz.storage.errors import StorageError


def check_target(path: Path, suffixes: Collection[str] = ()) -> None:
    """Raise a `StorageError` if nothing could be written at ``path``: it exists, or its folder cannot be written.

    Parameters
    ----------
    path
        Where something new is to be.
    suffixes
        Endings that its name may have; any by default.
    """
    if suffixes and path.suffix not in suffixes:
        raise StorageError(f"{path}: expected a name that ends in {' or '.join(suffixes)}")
    if os.path.lexists(path):
        raise StorageError(f"{path}: exists already; name a new one")
    if not path.parent.is_dir():
        raise StorageError(f"{path}: the folder {path.parent} does not exist; make it, or name another")
    if not os.access(path.parent, os.W_OK | os.X_OK):
        raise StorageError(f"{path}: the folder {path.parent} cannot be written; name another")


@contextmanager
def written_whole(path: Path) -> Iterator[Path]:
    """Give a place beside ``path`` to write at, and move what was written to ``path`` at the end; after an error, not.

    Raises
    ------
    StorageError
        As `check_target`, before and after; or the disk is full, say.
    """
    check_target(path)
    try:
        with tempfile.TemporaryDirectory(prefix=f".{path.name}.", dir=path.parent) as folder:
            aside = Path(folder) / path.name
            yield aside
            check_target(path)
            aside.rename(path)
    except OSError as error:
        raise StorageError(f"cannot write {path}: {error.strerror or error}") from error
