"""Files below a folder, reached from one open folder to the next, so that no link is ever followed.

A check of the path beforehand is not enough: a user of a shared folder can put a link there between the check
and the use.
"""

from __future__ import annotations

import os
import shutil
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from ritz.storage.errors import StorageError

# To pass through a folder its listing need not be readable.
_FOLDER = getattr(os, "O_PATH", os.O_RDONLY) | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC

# A pipe in the place of a file would make an open wait for ever.
_FILE = os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


class Link(StorageError):
    """A link stands in place of a file or a folder of a store."""

    def __init__(self, path: str) -> None:
        super().__init__(
            f"{path} is a link: nothing inside a store is opened, changed or removed through one; put what it means in "
            "its place (another disk can be mounted there), or make the store as a whole the link"
        )


@contextmanager
def parent(root: str, key: str, *, make: bool = False) -> Iterator[tuple[int, str]]:
    """Open the folder of ``key``; yield its descriptor and the last part of the key.

    Parameters
    ----------
    root
        Absolute path of the store's folder.
    key
        Relative path without ``..``.
    make
        Make the folders between that are missing.

    Raises
    ------
    Link
        One of them is a link.
    OSError
        One of them is missing, no folder, or not to be entered.
    """
    *between, name = key.split("/")
    descriptor, path = os.open(root, _FOLDER & ~os.O_NOFOLLOW), root
    try:
        for part in between:
            path = f"{path}/{part}"
            if make:
                with suppress(FileExistsError):
                    os.mkdir(part, dir_fd=descriptor)
            below = _entered(descriptor, part, path)
            os.close(descriptor)
            descriptor = below
        yield descriptor, name
    finally:
        os.close(descriptor)


def opened(root: str, key: str, flags: int, mode: int = 0o666, *, make: bool = False) -> int:
    """Open a file and return its descriptor; the flags are those of `os.open`.

    Raises
    ------
    Link
        It, or a folder above it, is a link.
    StorageError
        It is no file.
    OSError
        It cannot be opened so.
    """
    path = f"{root}/{key}"
    with parent(root, key, make=make) as (folder, name):
        try:
            descriptor = os.open(name, flags | _FILE, mode, dir_fd=folder)
        except OSError:
            _refuse_link(folder, name, path)
            raise
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise StorageError(f"{path}: expected a file, found a folder or something else")
    return descriptor


def listed(root: str, key: str) -> list[str]:
    """Return the names in a folder.

    Raises
    ------
    Link
        It, or a folder above it, is a link.
    OSError
        It is missing, no folder, or not to be read.
    """
    with _folder(root, key) as descriptor, os.scandir(descriptor) as entries:
        return [entry.name for entry in entries]


def there(root: str, key: str) -> bool:
    """Return whether ``key`` is a file or a folder.

    Raises
    ------
    Link
        It, or a folder above it, is a link, wherever that leads.
    OSError
        A folder above it is not to be entered.
    """
    try:
        with parent(root, key) as (folder, name):
            _refuse_link(folder, name, f"{root}/{key}")
            os.stat(name, dir_fd=folder, follow_symlinks=False)
    except (FileNotFoundError, NotADirectoryError):
        return False
    return True


def removed(root: str, key: str) -> None:
    """Remove a file, or a folder with all below it; links in there are removed and not followed.

    Raises
    ------
    Link
        It, or a folder above it, is a link.
    OSError
        It cannot be removed.
    """
    with suppress(FileNotFoundError), parent(root, key) as (folder, name):
        _refuse_link(folder, name, f"{root}/{key}")
        if stat.S_ISDIR(os.stat(name, dir_fd=folder, follow_symlinks=False).st_mode):
            shutil.rmtree(name, dir_fd=folder)
        else:
            os.unlink(name, dir_fd=folder)


def links(root: str, key: str, depth: int | None = None) -> list[str]:
    """Return the links below a folder, as keys, sorted; none where it does not exist.

    Parameters
    ----------
    depth
        How many levels of folders are looked into; None for all.

    Raises
    ------
    Link
        The folder itself, or one above it, is a link.
    """
    return sorted(below for below, entry in _walk(root, key, depth) if entry.is_symlink())


def larger(root: str, key: str, most: int) -> dict[str, int]:
    """Return the files below a folder that have more than so many bytes, with their sizes; see `links`."""
    sizes = {}
    for below, entry in _walk(root, key, None):
        # A file may be renamed, or go, while others work in the folder.
        with suppress(FileNotFoundError):
            sizes[below] = entry.stat(follow_symlinks=False).st_size
    return {below: size for below, size in sorted(sizes.items()) if size > most}


def size(root: str, key: str) -> int:
    """Return the bytes of all files below a folder; see `links`."""
    total = 0
    for _, entry in _walk(root, key, None):
        with suppress(FileNotFoundError):
            total += 0 if entry.is_dir(follow_symlinks=False) else entry.stat(follow_symlinks=False).st_size
    return total


def _walk(root: str, key: str, depth: int | None) -> Iterator[tuple[str, os.DirEntry[str]]]:
    def look(folder: int, at: str, left: int | None) -> Iterator[tuple[str, os.DirEntry[str]]]:
        with os.scandir(folder) as entries:
            for entry in entries:
                below = f"{at}/{entry.name}"
                yield below, entry
                if left != 1 and entry.is_dir(follow_symlinks=False):
                    inner = _readable(folder, entry.name, f"{root}/{below}")
                    try:
                        yield from look(inner, below, None if left is None else left - 1)
                    finally:
                        os.close(inner)

    with suppress(FileNotFoundError), _folder(root, key) as descriptor:
        yield from look(descriptor, key, depth)


@contextmanager
def _folder(root: str, key: str) -> Iterator[int]:
    with parent(root, key) as (folder, name):
        descriptor = _readable(folder, name, f"{root}/{key}")
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def _readable(folder: int, name: str, path: str) -> int:
    try:
        return os.open(name, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=folder)
    except OSError:
        _refuse_link(folder, name, path)
        raise


def _entered(folder: int, name: str, path: str) -> int:
    try:
        return os.open(name, _FOLDER, dir_fd=folder)
    except OSError:
        _refuse_link(folder, name, path)
        raise


def _refuse_link(folder: int, name: str, path: str) -> None:
    with suppress(FileNotFoundError):
        if stat.S_ISLNK(os.stat(name, dir_fd=folder, follow_symlinks=False).st_mode):
            raise Link(path)
