"""Which flow runs a process of this machine is at: a file of the run's id, locked by whoever is.

Prefect records no process for a served run, and nothing in it ends the run of one that was killed. A lock of the
kernel is gone with its holders, however they ended.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import UUID

from ritz.storage.backends.kept_files import KeptFile, is_at


def folder() -> Path:
    """Return where the claims lie: beside the database of a server that is started here, readable by the owner."""
    return Path(os.environ.get("PREFECT_HOME", "~/.prefect")).expanduser() / "ritz-claims"


def hold(flow_run: str) -> KeptFile:
    """Hold the claim on a flow run until this process ends; several processes may, its server and the run itself.

    The file stays: until the server has been told how the run ended, it is what says that the run was this machine's.

    Parameters
    ----------
    flow_run
        Its id, a UUID.

    Returns
    -------
    KeptFile
        The file that holds it.
    """
    path = _path(flow_run)
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    return KeptFile(_open(path))


@contextmanager
def claimed(flow_run: str) -> Iterator[None]:
    """Hold the claim on a flow run meanwhile."""
    file = hold(flow_run)
    try:
        yield
    finally:
        file.release()


def given_up() -> list[str]:
    """Return the ids of the flow runs that were claimed on this machine and that no process holds any more."""
    if not folder().is_dir():
        return []
    files = [path for path in sorted(folder().iterdir()) if path.is_file() and not path.is_symlink()]
    return [path.name for path in files if _is_id(path.name) and not held(path.name)]


def known(flow_run: str) -> bool:
    """Return whether a flow run has ever been claimed on this machine, as far as it is not settled."""
    return _path(flow_run).exists()


def held(flow_run: str) -> bool:
    """Return whether a process holds the claim on a flow run."""
    try:
        descriptor = os.open(_path(flow_run), os.O_RDWR | os.O_NOFOLLOW)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)
    return False


def settle(flow_run: str) -> None:
    """Remove a claim that nobody holds; one that has just been taken anew stays."""
    try:
        descriptor = os.open(_path(flow_run), os.O_RDWR | os.O_NOFOLLOW)
    except FileNotFoundError:
        return
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if is_at(descriptor, _path(flow_run)):
            _path(flow_run).unlink()
    except BlockingIOError:
        pass
    finally:
        os.close(descriptor)


def _open(path: Path) -> int:
    """Return a descriptor of the file at ``path`` that holds its lock, shared, and that no child inherits."""
    while True:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)
        # Whoever looks whether it is held, or removes it, holds it for microseconds.
        fcntl.flock(descriptor, fcntl.LOCK_SH)
        if is_at(descriptor, path):
            return descriptor
        os.close(descriptor)


def _path(flow_run: str) -> Path:
    return folder() / str(UUID(flow_run))


def _is_id(name: str) -> bool:
    try:
        return str(UUID(name)) == name
    except ValueError:
        return False
