"""Open files whose locks are of this process: a forked child shares them and would hold them beyond their owner."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path


class KeptFile:
    """An open file that holds a lock of the kernel (``flock``); a forked child closes it, and so does not share it."""

    def __init__(self, descriptor: int) -> None:
        self.descriptor = descriptor
        _kept.add(self)

    @property
    def closed(self) -> bool:
        """Whether it is closed, as everywhere in a forked child."""
        return self not in _kept

    def release(self) -> None:
        """Give the lock up and close the file; nothing happens where it is closed."""
        if self.closed:
            return
        _kept.remove(self)
        # Closing alone would leave the lock to a child that is just being started, until that one has closed it too.
        fcntl.flock(self.descriptor, fcntl.LOCK_UN)
        os.close(self.descriptor)


def is_at(descriptor: int, path: str | Path) -> bool:
    """Return whether an open file is the one that has the path, and not one that has been removed meanwhile."""
    try:
        return os.path.samestat(os.fstat(descriptor), Path(path).stat(follow_symlinks=False))
    except FileNotFoundError:
        return False


# What this process keeps open.
_kept: set[KeptFile] = set()


def _close_in_child() -> None:
    for file in _kept:
        os.close(file.descriptor)
    _kept.clear()


os.register_at_fork(after_in_child=_close_in_child)
