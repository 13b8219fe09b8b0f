from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit
from uuid import uuid4

from storage.errors import StorageError
from storage.places import lock
from storage.wording import cut, nearest, shown

if TYPE_CHECKING:
    import icechunk


class Folder:
    """A store that is a folder of this machine; see `storage.store.Store` for what its methods promise.

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
        """Return what the engine needs to keep a repository in the folder ``key``."""
        import icechunk

        return icechunk.local_filesystem_storage(self.location(key))

    def check_writable(self) -> None:
        """Make the folder where it is absent, and prove that files can be written in it."""
        with _writing(self.url):
            self._make(self._root)
            with tempfile.TemporaryFile(dir=self._root) as probe:
                probe.write(b"x")

    def read(self, key: str) -> bytes:
        """Return the content of a file."""
        path = self.location(key)
        try:
            return Path(path).read_bytes()
        except OSError as error:
            raise StorageError(f"cannot read {path}: {error.strerror}") from error

    def write(self, key: str, data: bytes, new: bool) -> None:
        """Write a file aside, and rename it into its place."""
        path = Path(self.location(key))
        with _writing(str(path)):
            self._make(path.parent)
            aside = path.with_name(f".{path.name}.{uuid4().hex}.part")
            try:
                with aside.open("xb") as file:
                    file.write(data)
                    file.flush()
                    os.fsync(file.fileno())
                # No other process can come in between: who writes what must be new holds a lock, which the
                # kernel keeps as long as the process lives.
                if new and path.exists():
                    raise StorageError(f"cannot write {path}: it exists already")
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
        """Return the names in a folder."""
        path = self.location(prefix)
        try:
            return sorted(entry.name for entry in Path(path).iterdir() if not entry.name.startswith("."))
        except FileNotFoundError:
            return []
        except OSError as error:
            raise StorageError(f"cannot list {path}: {error.strerror}") from error

    def documents(self, prefix: str, file: str) -> dict[str, bytes]:
        """Return the file of this name from every folder in ``prefix`` that has it."""
        found = {}
        for name in self.list(prefix):
            path = Path(self.location(f"{prefix}/{name}/{file}"))
            try:
                found[name] = path.read_bytes()
            except (FileNotFoundError, NotADirectoryError):
                continue
            except OSError as error:
                raise StorageError(f"cannot read {path}: {error.strerror}") from error
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
        """Remove a folder with all below it."""
        path = self.location(key)
        with _writing(path):
            if Path(path).exists():
                shutil.rmtree(path)

    def lock(self, key: str, what: str, wait: float) -> AbstractContextManager[None]:
        """Hold a lock file; see `storage.places.lock.locked`."""
        return lock.locked(self.location(key), what, wait)

    def holder(self, key: str) -> str | None:
        """Return who holds the lock file; see `storage.places.lock.holder`."""
        return lock.holder(self.location(key))

    def holds(self, key: str) -> bool:
        """Return whether this process holds the lock file."""
        return lock.held(self.location(key))

    def _make(self, folder: Path) -> None:
        """Make a folder where it is absent; a store that was there before is not made a second time."""
        if self._there and not self._root.is_dir():
            # Its disk was taken away, say: what is written to a new folder would stand in the way of its return.
            raise StorageError(f"store {self.url} is gone, it was there before; bring it back and start again")
        folder.mkdir(parents=True, exist_ok=True)
        self._there = True


@contextmanager
def _writing(path: str) -> Iterator[None]:
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
