from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit
from uuid import uuid4

from ritz.storage.backends import inside, lock
from ritz.storage.documents import LARGEST, too_large
from ritz.storage.errors import StorageError
from ritz.storage.wording import cut, nearest, shown

if TYPE_CHECKING:
    import icechunk


class Folder:
    """A store that is a folder of this machine; see `ritz.storage.store.Store` for what its methods promise.

    The folder itself may be reached through links. Inside of it Ritz follows none: a user who may write in a shared
    store could lead its readers, lockers and cleaners to any other file. A link there is an error that names it, even
    if its owner keeps the datasets on another disk: mount that disk in the store, or make the whole store a link.

    Parameters
    ----------
    text
        A path (``~`` is expanded) or a ``file://`` URL.

    Raises
    ------
    StorageError
        It is neither, or the URL names another host.
    """

    def __init__(self, text: str) -> None:
        path = text
        if "://" in text:
            parts = urlsplit(text)
            home = parts.netloc.startswith("~")
            if (parts.netloc not in ("", "localhost") and not home) or not (parts.path or home):
                raise StorageError(f"store {shown(text)}: expected a folder (a path or file:///path)")
            # `file://~/store` and `file:///~/store` both mean the folder in the home.
            path = unquote(parts.netloc + parts.path if home else parts.path)
            path = path[1:] if path.startswith("/~") else path
        if not path:
            raise StorageError("store '': expected a folder (a path or file:///path), or s3://bucket/prefix")
        try:
            self._root = Path(path).expanduser().resolve()
            self._there = self._root.is_dir()
        except (RuntimeError, OSError, ValueError) as error:
            reason = error.strerror if isinstance(error, OSError) else cut(str(error))
            raise StorageError(f"store {shown(text)}: expected a folder ({reason})") from error

    @property
    def url(self) -> str:
        """The absolute path of the folder."""
        return str(self._root)

    def location(self, key: str) -> str:
        """Return the path of ``key``."""
        return str(self._root / key)

    def repository(self, key: str) -> icechunk.Storage:
        """Return what the engine needs to keep a repository in the folder ``key``, which it takes by its path.

        Raises
        ------
        StorageError
            One of the folders that the engine would work in is a link, or a file that says what a branch or a tag is
            is one or is too large.
        """
        import icechunk

        # Not the files themselves, of which there may be millions: the engine replaces and removes them by their names.
        for name in (*self.links(key, 1), *self.links(f"{key}/refs", None)):
            raise inside.Link(self.location(name))
        # The engine would ask for so much memory that the process ends.
        for name, size in inside.larger(self.url, f"{key}/refs", LARGEST).items():
            raise too_large(self.location(name), size)
        return icechunk.local_filesystem_storage(self.location(key))

    def check_writable(self) -> None:
        """Make the folder where it is absent, and prove that files can be written in it."""
        with _writing(self.url):
            self._make()
            with tempfile.TemporaryFile(dir=self._root) as probe:
                probe.write(b"x")

    def read(self, key: str, most: int | None = None) -> bytes:
        """Return the content of a file, of at most so many bytes."""
        path = self.location(key)
        try:
            with os.fdopen(inside.opened(self.url, key, os.O_RDONLY), "rb") as file:
                size = os.fstat(file.fileno()).st_size
                if most is not None and size > most:
                    raise too_large(path, size, most)
                return file.read()
        except OSError as error:
            raise StorageError(f"cannot read {path}: {error.strerror}") from error

    def write(self, key: str, data: bytes, new: bool) -> None:
        """Write a file aside, and rename it into its place."""
        path = self.location(key)
        with _writing(path):
            self._make()
            with inside.parent(self.url, key, make=True) as (folder, name):
                aside = f".{name}.{uuid4().hex}.part"
                try:
                    descriptor = os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666, dir_fd=folder)
                    with os.fdopen(descriptor, "wb") as file:
                        file.write(data)
                        file.flush()
                        os.fsync(file.fileno())
                    # No other process can interfere: the writer of a new file holds a lock, which the
                    # kernel keeps as long as the process lives.
                    if new and _lies(folder, name):
                        raise StorageError(f"cannot write {path}: it exists already")
                    os.replace(aside, name, src_dir_fd=folder, dst_dir_fd=folder)
                except BaseException:
                    with suppress(FileNotFoundError):
                        os.unlink(aside, dir_fd=folder)
                    raise
                _sync_folder(folder)

    def exists(self, key: str) -> bool:
        """Return whether ``key`` is a file or a folder."""
        try:
            return inside.there(self.url, key)
        except OSError as error:
            raise StorageError(f"cannot read {self.location(key)}: {error.strerror}") from error

    def list(self, prefix: str) -> list[str]:
        """Return the names in a folder."""
        try:
            return sorted(name for name in inside.listed(self.url, prefix) if not name.startswith("."))
        except FileNotFoundError:
            return []
        except OSError as error:
            raise StorageError(f"cannot list {self.location(prefix)}: {error.strerror}") from error

    def documents(self, prefix: str, file: str) -> dict[str, bytes | StorageError]:
        """Return the file of this name from every folder in ``prefix`` that has it."""
        found: dict[str, bytes | StorageError] = {}
        for name in self.list(prefix):
            try:
                if self.exists(f"{prefix}/{name}/{file}"):
                    found[name] = self.read(f"{prefix}/{name}/{file}", LARGEST)
                else:
                    # Raises for an entry that is no folder.
                    self.list(f"{prefix}/{name}")
            except StorageError as error:
                found[name] = error
        return found

    def absent(self) -> str:
        """Return in words that there is no such folder, and which store beside it may be meant."""
        if self._root.is_dir():
            return ""
        try:
            beside = [path.name for path in self._root.parent.iterdir() if (path / "datasets").is_dir()]
        except OSError:
            beside = []
        near = [str(self._root.with_name(name)) for name in nearest(self._root.name, beside)]
        return f"there is no store at {self.url}" + (f"; did you mean {' or '.join(near)}?" if near else "")

    def remove(self, key: str) -> None:
        """Remove a file, or a folder with all below it."""
        with _writing(self.location(key)):
            inside.removed(self.url, key)

    def size(self, key: str) -> int:
        """Return the bytes of all files in the folder ``key``."""
        try:
            return inside.size(self.url, key)
        except OSError as error:
            raise StorageError(f"cannot list {self.location(key)}: {error.strerror}") from error

    def links(self, key: str, depth: int | None) -> Sequence[str]:
        """Return the links in the folder ``key``; see `ritz.storage.backends.inside.links`."""
        try:
            return inside.links(self.url, key, depth)
        except OSError as error:
            raise StorageError(f"cannot list {self.location(key)}: {error.strerror}") from error

    def lock(self, key: str, what: str, wait: float) -> AbstractContextManager[None]:
        """Hold a lock file; see `ritz.storage.backends.lock.locked`."""

        def opened() -> int:
            self._make()
            return inside.opened(self.url, key, os.O_RDWR | os.O_CREAT, make=True)

        return lock.locked(self.location(key), what, wait, opened)

    def holder(self, key: str) -> str | None:
        """Return the holder of the lock file; see `ritz.storage.backends.lock.holder`."""
        descriptor = self._lock_file(key)
        return None if descriptor is None else lock.holder(descriptor)

    def held_by(self, key: str, holder: str) -> bool:
        """Return whether the lock file names a holder; on another machine the kernel may know nothing of it."""
        descriptor = self._lock_file(key)
        return descriptor is not None and lock.signed(descriptor) == holder

    def _lock_file(self, key: str) -> int | None:
        try:
            return inside.opened(self.url, key, os.O_RDONLY)
        except (FileNotFoundError, NotADirectoryError):
            return None
        except OSError as error:
            raise StorageError(f"cannot read {self.location(key)}: {error.strerror}") from error

    def holds(self, key: str, ask: bool) -> bool:
        """Return whether this process holds the lock file: the kernel never revokes a lock."""
        del ask
        return lock.held(self.location(key))

    def _make(self) -> None:
        """Make the store's folder where it is absent; one that was there before is not made a second time."""
        if self._there and not self._root.is_dir():
            # E.g. its disk was removed: a new folder would block its return.
            raise StorageError(f"store {self.url} is gone, it was there before; bring it back and start again")
        self._root.mkdir(parents=True, exist_ok=True)
        self._there = True


@contextmanager
def _writing(path: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise StorageError(f"cannot write {path}: {error.strerror}; give a store that can be written") from error


def _lies(folder: int, name: str) -> bool:
    try:
        os.stat(name, dir_fd=folder, follow_symlinks=False)
    except FileNotFoundError:
        return False
    return True


def _sync_folder(folder: int) -> None:
    # The rename itself is on disk only when the folder is.
    descriptor = os.open(".", os.O_RDONLY | os.O_DIRECTORY, dir_fd=folder)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
