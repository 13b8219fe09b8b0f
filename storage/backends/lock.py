from __future__ import annotations

import fcntl
import os
import re
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from ritz.storage.backends import inside
from ritz.storage.backends.kept_files import KeptFile, is_at
from ritz.storage.errors import Busy, StorageError

# All that a lock file ever holds: the name of a process, also of one that was killed.
_CONTENT = re.compile(rb"(process \d+ on [^\n]*)?")

# What this process holds, by the path of the lock file.
_held: dict[str, KeptFile] = {}


def this_process() -> str:
    """Return how this process is named as a holder."""
    return f"process {os.getpid()} on {socket.gethostname()}"


def held(path: str) -> bool:
    """Return whether this process holds the lock at ``path``."""
    return path in _held and not _held[path].closed


def signed(descriptor: int) -> str:
    """Return the content of an open lock file, which names its holder or a killed one; close the file."""
    try:
        return os.pread(descriptor, 300, 0).decode(errors="replace").strip()
    finally:
        os.close(descriptor)


def holder(descriptor: int) -> str | None:
    """Return the holder of the lock of an open file, in words, None if it is free; close the file."""
    try:
        # A process that wants the lock at this moment tries again: see `_acquire`.
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return os.pread(descriptor, 300, 0).decode(errors="replace").strip() or "another process"
    finally:
        os.close(descriptor)
    return None


@contextmanager
def locked(path: str, what: str, wait: float = 0.0, opened: Callable[[], int] | None = None) -> Iterator[None]:
    """Hold an exclusive advisory lock (``flock``) on the file ``path``.

    The kernel releases it when the process ends, however it ends. The file stays behind, empty: removing it
    would let two processes hold "the" lock, each on its own file. Nothing is written to what is no lock file: a link,
    a second name of another file, or a file that holds something else.

    Parameters
    ----------
    path
        Absolute path of the lock file; it is created where it is absent, its folder too.
    what
        Name of the locked thing, for the message: ``"dataset 'darcy'"``.
    wait
        Seconds to wait for another holder; 0 refuses at once.
    opened
        Opens the file for reading and writing, where that is not done by its path alone.

    Raises
    ------
    Busy
        Another holder (also another thread or handle in this process) has the lock.
    StorageError
        The lock file cannot be opened or written, or is none.
    """
    deadline = time.monotonic() + wait
    while True:
        try:
            # os.open makes the descriptor non-inheritable: a program started meanwhile does not keep the lock.
            descriptor = _opened(path) if opened is None else opened()
        except OSError as error:
            raise StorageError(
                f"cannot lock {what}: {path} cannot be written ({error.strerror}); give a store that can be written"
            ) from error
        try:
            _acquire(descriptor, what, max(0.0, deadline - time.monotonic()))
            if is_at(descriptor, path):
                _sign(descriptor, path, what)
                break
        except BaseException:
            os.close(descriptor)
            raise
        # Somebody removed the file or put another one in its place, and the next process would lock that one.
        os.close(descriptor)
    _held[path] = file = KeptFile(descriptor)
    try:
        yield
    finally:
        # In a forked child the lock is the parent's, and the file is closed already.
        if not file.closed:
            # Another thread may have locked the file that has taken the place of this one.
            if _held.get(path) is file:
                del _held[path]
            os.ftruncate(descriptor, 0)
            file.release()


def _opened(path: str) -> int:
    folder, name = os.path.split(path)
    Path(folder).mkdir(parents=True, exist_ok=True)
    return inside.opened(folder, name, os.O_RDWR | os.O_CREAT)


def _acquire(descriptor: int, what: str, wait: float) -> None:
    # `holder` locks the file for an instant.
    deadline = time.monotonic() + max(wait, 0.02)
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return
        except BlockingIOError as error:
            if time.monotonic() >= deadline:
                named = os.pread(descriptor, 300, 0).decode(errors="replace").strip()
                raise Busy(
                    f"{what} is in use by {named or 'another process'}; wait until it has finished, or stop it"
                ) from error
            time.sleep(min(0.05, max(wait, 0.01)))


def _sign(descriptor: int, path: str, what: str) -> None:
    """Write this process's name into the lock file that it holds."""
    if os.fstat(descriptor).st_nlink != 1 or not _CONTENT.fullmatch(os.pread(descriptor, 300, 0)):
        raise StorageError(
            f"cannot lock {what}: {path} is no lock but another file's second name, or holds something else; remove it"
        )
    try:
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, this_process().encode(), 0)
    except OSError as error:
        raise StorageError(f"cannot lock {what}: its lock file cannot be written ({error.strerror})") from error
