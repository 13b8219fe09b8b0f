"""A folder of this user alone, in a place where all users of the machine may write."""

from __future__ import annotations

import os
import stat
from contextlib import suppress
from pathlib import Path


def own_folder(parent: str | Path) -> Path:
    """Return the path of this user's folder in a place for temporary files; another user may have made it first."""
    return Path(parent) / f"ritz-{os.geteuid()}"


def make_own(folder: Path) -> bool:
    """Make a folder that its owner alone can read; return whether what is there is a folder of this user.

    Nothing is followed, should a link lie there; the rights of one that was there before stay as they are.

    Raises
    ------
    OSError
        The place cannot be written.
    """
    with suppress(FileExistsError):
        folder.mkdir(mode=0o700)
    about = folder.lstat()
    return stat.S_ISDIR(about.st_mode) and about.st_uid == os.geteuid()
