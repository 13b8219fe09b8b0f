from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any

from ritz.storage.backends.bucket import Bucket
from ritz.storage.backends.folder import Folder
from ritz.storage.documents import LARGEST, Json, mapping
from ritz.storage.errors import StorageError
from ritz.storage.wording import cut, meant, shown

if TYPE_CHECKING:
    import icechunk

_FOLDERS = ("datasets", "models", "runs", "comparisons", "fits")
"""What makes a folder a store: at least one of them holds something."""


class Store:
    """Storage of datasets, models and run records: a folder, or a prefix in a bucket.

    Keys are relative paths with ``/``. Opening a store touches nothing; a folder is made by the first write, a bucket
    has to exist. A single file is written whole or not at all in both; nothing else is done in one step. So what
    consists of several files counts once the one that is written last is there: a model its card, a run its record, a
    dataset the commit of its layout. Earlier contents belong to an active writer or a killed one, and the next
    writer, under the lock, does away with it. Inside a folder no link is followed; see
    `ritz.storage.backends.folder.Folder`.

    Parameters
    ----------
    url
        A path (``~`` is expanded), a ``file://`` URL, or ``s3://bucket/prefix``. Credentials, region and endpoint of
        a bucket come from the environment or the files that AWS's own tools read, never from the URL.

    Raises
    ------
    StorageError
        The URL has another scheme or another host, or holds credentials (which the message does not repeat).

    Examples
    --------
    >>> store = Store("ritz-store")
    >>> store.write("runs/one/record.json", b"{}")
    >>> store.read("runs/one/record.json")
    b'{}'
    >>> store.list("runs")
    ['one']
    """

    def __init__(self, url: str | os.PathLike[str]) -> None:
        self._backend = _backend(os.fspath(url))

    @property
    def url(self) -> str:
        """The absolute path of the folder, or ``s3://bucket/prefix``; it holds no credentials."""
        return self._backend.url

    def __repr__(self) -> str:
        return f"Store({self.url!r})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Store) and other.url == self.url

    def __hash__(self) -> int:
        return hash(self.url)

    def __reduce__(self) -> tuple[Any, ...]:
        return Store, (self.url,)

    def location(self, key: str) -> str:
        """Return the location of ``key``, as a path or URL that another program can open.

        Raises
        ------
        StorageError
            The key leaves the store, or is empty.
        """
        return self._backend.location(_checked(key))

    def repository(self, key: str) -> icechunk.Storage:
        """Return what Icechunk needs to keep a repository at ``key``; it holds no credentials either."""
        return self._backend.repository(_checked(key))

    def check_writable(self) -> None:
        """Make the store's folder where it is absent, and prove that files can be written in the store.

        Raises
        ------
        StorageError
            The store is not writable; the message names its URL and the reason.
        """
        self._backend.check_writable()

    def read(self, key: str, most: int | None = None) -> bytes:
        """Return the content of the file ``key``.

        Parameters
        ----------
        most
            Bytes above which a file of a folder is refused before it is read.

        Raises
        ------
        StorageError
            The file does not exist, cannot be read or is too large.
        """
        return self._backend.read(_checked(key), most)

    def document(self, key: str) -> Json:
        """Return what the JSON file ``key`` says, a mapping; see `ritz.storage.documents.mapping`.

        Raises
        ------
        StorageError
            The file does not exist, cannot be read or is no such document.
        """
        return mapping(self.read(key, LARGEST), self.location(key))

    def write(self, key: str, data: bytes, *, new: bool = False) -> None:
        """Write a file, whole or not at all: a reader sees the old content or the new, also after a crash.

        Parameters
        ----------
        key, data
            The key and its new content.
        new
            Refuse to replace a file; for files written under a lock. If the lock of a bucket has been lost
            meanwhile, its two holders cannot mix their files.

        Raises
        ------
        StorageError
            It cannot be written, or is not new; what was there before is unchanged.
        """
        if not isinstance(data, bytes):
            raise TypeError(f"{key}: expected bytes, got {type(data).__name__}")
        self._backend.write(_checked(key), data, new)

    def exists(self, key: str) -> bool:
        """Return whether ``key`` is a file or a folder.

        Raises
        ------
        StorageError
            The store cannot be read.
        """
        return self._backend.exists(_checked(key))

    def list(self, prefix: str) -> list[str]:
        """Return the names directly below the folder ``prefix``, sorted; none where it does not exist.

        Names that begin with a dot (locks, unfinished files) are left out.

        Raises
        ------
        StorageError
            The folder cannot be read.
        """
        return self._backend.list(_checked(prefix))

    def documents(self, prefix: str, file: str) -> dict[str, bytes | StorageError]:
        """Return the content of ``file`` by the name of its folder, for all folders below ``prefix`` that have it.

        Where a folder or its file cannot be read there is the error, so that one does not hide the others.

        Raises
        ------
        StorageError
            ``prefix`` cannot be read.
        """
        return self._backend.documents(_checked(prefix), _checked(file))

    def nothing(self) -> str:
        """Return in words that the store does not exist or is empty; an empty text otherwise.

        Raises
        ------
        StorageError
            The store cannot be read.
        """
        if any(self.list(folder) for folder in _FOLDERS):
            return ""
        return self._backend.absent() or f"the store {self.url} is empty: it has no dataset, no model and no run"

    def known(self, wanted: str, names: Iterable[str]) -> str:
        """Return the names there are, for the message about one that there is not, and which of them may be meant."""
        found = list(dict.fromkeys(names))
        if not found:
            nothing = self.nothing()
            return f"none yet; {nothing}" if nothing else "none yet"
        return cut(", ".join(found), 1000) + meant(wanted, found)

    def remove(self, key: str) -> None:
        """Remove the file ``key``, or the folder with all below it; nothing happens where it does not exist.

        Raises
        ------
        StorageError
            It cannot be removed.
        """
        self._backend.remove(_checked(key))

    def size(self, key: str) -> int:
        """Return the bytes of all files below the folder ``key``, 0 where it does not exist.

        Raises
        ------
        StorageError
            It cannot be listed.
        """
        return self._backend.size(_checked(key))

    def links(self, key: str, depth: int | None = None) -> Sequence[str]:
        """Return the keys of links below the folder ``key``, in so many levels or all; none in a bucket.

        Reads and writes by key follow no links anyway; this is for folders that another program opens.

        Raises
        ------
        StorageError
            The folder is a link, is behind one, or is not readable.
        """
        return self._backend.links(_checked(key), depth)

    def lock(self, key: str, what: str, wait: float = 0.0) -> AbstractContextManager[None]:
        """Hold the lock ``key`` exclusively, as `backends.lock.locked` and `backends.lease.leased` do.

        Raises
        ------
        Busy
            Another process holds it, or still holds it after ``wait`` seconds.
        """
        return self._backend.lock(_checked(key), what, wait)

    def holder(self, key: str) -> str | None:
        """Return which process, here or elsewhere, holds the lock ``key``, in words; None if none does.

        Raises
        ------
        StorageError
            The store cannot be read.
        """
        return self._backend.holder(_checked(key))

    def held_by(self, key: str, holder: str) -> bool:
        """Return whether the lock ``key`` is still that of a holder, which may be another process on another machine.

        Parameters
        ----------
        holder
            As `ritz.storage.backends.lock.this_process` calls it there.

        Raises
        ------
        StorageError
            The store cannot be read.
        """
        return self._backend.held_by(_checked(key), holder)

    def holds(self, key: str, *, ask: bool = False) -> bool:
        """Return whether this process holds the lock ``key`` now.

        Parameters
        ----------
        ask
            Ask the store even if its last answer is recent.

        Raises
        ------
        StorageError
            The lease of a lock in a bucket has run out, and whether another process took it cannot be read.
        """
        return self._backend.holds(_checked(key), ask)


def _backend(text: str) -> Folder | Bucket:
    scheme, found, _ = text.partition("://")
    if text[:3].lower() == "s3:":
        return Bucket(text)
    if found and scheme.lower() != "file":
        # Whatever such a URL holds beside a host and a path may be a secret.
        quoted = f"{shown(scheme)[1:-1]}://…" if set("@?#") & set(text) else text
        raise StorageError(f"store {shown(quoted)}: expected a folder (a path or file:///path), or s3://bucket/prefix")
    return Folder(text)


def _checked(key: str) -> str:
    if any(part in ("", ".", "..") or "\\" in part or "\0" in part for part in key.split("/")):
        raise StorageError(f"key {shown(key)}: expected a relative path without '..' or empty parts")
    return key
