from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from urllib.parse import unquote, urlsplit
from uuid import uuid4

from storage import lock
from storage.errors import StorageError


class Store:
    """The place where datasets, models and run records lie: a folder.

    Keys are relative paths with ``/``. Opening a store touches nothing; folders are made by the first write.

    Parameters
    ----------
    url
        A path (``~`` is expanded) or a ``file://`` URL.

    Raises
    ------
    StorageError
        The URL has another scheme or another host.

    Examples
    --------
    >>> store = Store(getfixture("tmp_path"))
    >>> store.write("runs/one/record.json", b"{}")
    >>> store.read("runs/one/record.json")
    b'{}'
    >>> store.list("runs")
    ['one']
    """

    def __init__(self, url: str | os.PathLike[str]) -> None:
        text = os.fspath(url)
        if "://" in text:
            parts = urlsplit(text)
            if parts.scheme != "file" or parts.netloc not in ("", "localhost") or not parts.path:
                raise StorageError(f"store {text!r}: expected a folder (a path or file:///path)")
            text = unquote(parts.path)
        if not text:
            raise StorageError("store '': expected a folder (a path or file:///path)")
        try:
            self._root = Path(text).expanduser().resolve()
        except (RuntimeError, OSError, ValueError) as error:
            raise StorageError(f"store {text!r}: expected a folder ({error})") from error
        self._there = self._root.is_dir()

    @property
    def url(self) -> str:
        """The absolute path of the folder."""
        return str(self._root)

    def __repr__(self) -> str:
        return f"Store({self.url!r})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Store) and other._root == self._root

    def __hash__(self) -> int:
        return hash(self._root)

    def location(self, key: str) -> str:
        """Return where ``key`` lies, as a path another program can open.

        Raises
        ------
        StorageError
            The key leaves the store, or is empty.
        """
        parts = key.split("/")
        if any(part in ("", ".", "..") or "\\" in part or "\0" in part for part in parts):
            raise StorageError(f"key {key!r}: expected a relative path without '..' or empty parts")
        return str(self._root.joinpath(*parts))

    def check_writable(self) -> None:
        """Make the store's folder where it is absent, and prove that files can be written in it.

        Raises
        ------
        StorageError
            Nothing can be written there; the message names the path and the reason.
        """
        with self._writing(self.url):
            self._make(self._root)
            with tempfile.TemporaryFile(dir=self._root) as probe:
                probe.write(b"x")

    def read(self, key: str) -> bytes:
        """Return the content of the file ``key``.

        Raises
        ------
        StorageError
            The file does not exist or cannot be read.
        """
        path = self.location(key)
        try:
            return Path(path).read_bytes()
        except OSError as error:
            raise StorageError(f"cannot read {path}: {error.strerror}") from error

    def write(self, key: str, data: bytes) -> None:
        """Write a file, whole or not at all: a reader sees the old content or the new, also after a crash.

        Raises
        ------
        StorageError
            It cannot be written; what was there before is unchanged.
        """
        path = Path(self.location(key))
        with self._writing(str(path)):
            self._make(path.parent)
            aside = path.with_name(f".{path.name}.{uuid4().hex}.part")
            try:
                with aside.open("xb") as file:
                    file.write(data)
                    file.flush()
                    os.fsync(file.fileno())
                aside.replace(path)
            except BaseException:
                aside.unlink(missing_ok=True)
                raise
            _sync_folder(path.parent)

    def exists(self, key: str) -> bool:
        """Return whether a file or a folder lies at ``key``."""
        path = Path(self.location(key))
        try:
            return path.exists()
        except OSError as error:
            raise StorageError(f"cannot read {path}: {error.strerror}") from error

    def list(self, prefix: str) -> list[str]:
        """Return the names directly below the folder ``prefix``, sorted; none where it does not exist.

        Names that begin with a dot (lock files, what is being written) are left out.

        Raises
        ------
        StorageError
            The folder cannot be read.
        """
        path = self.location(prefix)
        try:
            return sorted(entry.name for entry in Path(path).iterdir() if not entry.name.startswith("."))
        except FileNotFoundError:
            return []
        except OSError as error:
            raise StorageError(f"cannot list {path}: {error.strerror}") from error

    def move(self, source: str, target: str) -> None:
        """Rename the folder ``source`` to ``target``, which must not exist, in one step.

        Raises
        ------
        StorageError
            There is a ``target`` already, or it cannot be written.
        """
        new = Path(self.location(target))
        with self._writing(str(new)):
            if new.exists():
                raise StorageError(f"cannot write {new}: it exists already")
            Path(self.location(source)).rename(new)
            _sync_folder(new.parent)

    def remove(self, key: str) -> None:
        """Remove the folder ``key`` with all below it; nothing happens where it does not exist.

        Raises
        ------
        StorageError
            It cannot be removed.
        """
        path = self.location(key)
        with self._writing(path):
            if Path(path).exists():
                shutil.rmtree(path)

    def lock(self, key: str, what: str, wait: float = 0.0) -> AbstractContextManager[None]:
        """Hold the lock file ``key`` exclusively; see `storage.lock.locked`.

        Raises
        ------
        Busy
            Another process holds it, or still holds it after ``wait`` seconds.
        """
        return lock.locked(self.location(key), what, wait)

    def holds(self, key: str) -> bool:
        """Return whether this process holds the lock file ``key``."""
        return lock.held(self.location(key))

    def _make(self, folder: Path) -> None:
        """Make a folder where it is absent; a store that was there before is not made a second time."""
        if self._there and not self._root.is_dir():
            # Its disk was taken away, say: what is written to a new folder would stand in the way of its return.
            raise StorageError(f"store {self.url} is gone, it was there before; bring it back and start again")
        folder.mkdir(parents=True, exist_ok=True)
        self._there = True

    @contextmanager
    def _writing(self, path: str) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise StorageError(f"cannot write {path}: {error.strerror}; give a store that can be written") from error


def _sync_folder(path: Path) -> None:
    # The rename itself is on disk only when the folder is.
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
