"""What a file system promises: locks that others see, and renames that replace."""

from __future__ import annotations

import fcntl
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

OTHER = """
import fcntl, sys
with open(sys.argv[1], "w") as file:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        sys.exit(7)
"""
"""A process that wants a lock; it ends with 7 where it is refused."""

REFUSED = 7

_ALONE = {"nfs": ("nolock", "local_lock=all", "local_lock=flock"), "lustre": ("localflock",)}
"""Options of mounts with which a lock is of one machine alone, by the beginning of the type."""


def faults(folder: Path) -> Iterator[str]:
    """Yield in words what the file system of a folder does not do as Ritz needs it; nothing stays in the folder.

    Raises
    ------
    OSError
        The folder cannot be written.
    """
    with tempfile.TemporaryDirectory(prefix=".ritz-probe-", dir=folder) as made:
        yield from _locks(Path(made) / "lock")
        yield from _renames(Path(made))
    kind, options = mounted(folder)
    alone = [option for name, given in _ALONE.items() if kind.startswith(name) for option in given if option in options]
    if alone:
        yield f"{kind} is mounted with {alone[0]!r}: a lock is of this machine alone"


def _locks(path: Path) -> Iterator[str]:
    with path.open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            yield f"flock fails ({error.strerror})"
            return
        command = [sys.executable, "-S", "-E", "-c", OTHER, str(path)]
        done = subprocess.run(command, capture_output=True, timeout=60, check=False)
        if done.returncode != REFUSED:
            yield "flock gives one lock to two processes"


def _renames(folder: Path) -> Iterator[str]:
    new, old = folder / "new", folder / "old"
    new.write_bytes(b"new")
    old.write_bytes(b"old")
    with old.open("rb") as reader:
        try:
            new.replace(old)
        except OSError as error:
            yield f"a rename does not replace a file ({error.strerror})"
            return
        if old.read_bytes() != b"new" or reader.read() != b"old" or new.exists():
            yield "a rename changes what a reader has open, or leaves two files"


def mounted(folder: Path) -> tuple[str, tuple[str, ...]]:
    """Return type and options of the mount of a folder, empty where the system has no list of mounts."""
    try:
        lines = Path("/proc/self/mounts").read_text(encoding="utf-8").splitlines()
    except OSError:
        return "", ()
    mounts = [line.split() for line in lines]
    place = folder.resolve()
    # A later mount at the same place hides an earlier one.
    found = [one for one in mounts if place.is_relative_to(one[1].replace("\\040", " "))]
    best = max(enumerate(found), key=lambda one: (len(one[1][1]), one[0]), default=(0, ["", "", "", ""]))[1]
    return best[2], tuple(filter(None, best[3].split(",")))
