"""Prefect's home, the folder of its database, as the owner's alone."""

from __future__ import annotations

import logging
import os
import shutil
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

log = logging.getLogger("ritz")

HOME = "PREFECT_HOME"

DATABASE = "prefect.db"
"""Name of the database in it; what SQLite keeps beside it begins with this name."""


@contextmanager
def private_home() -> Iterator[Path]:
    """Give Prefect's home, which nobody but its owner can read; a temporary one where it cannot be written.

    Runs, with their parameters and logs, stay in its database. The temporary one is removed at the end.
    """
    home = Path(os.environ.get(HOME, "~/.prefect")).expanduser()
    try:
        _make_private(home)
    except OSError as error:
        temporary = Path(tempfile.mkdtemp(prefix="ritz-prefect-"))
        log.warning(
            "%s %s cannot be written (%s): a temporary one is used, and Prefect's history of this run goes with it",
            *(HOME, home, error.strerror or error),
        )
        before = os.environ.get(HOME)
        os.environ[HOME] = str(temporary)
        try:
            yield temporary
        finally:
            if before is None:
                del os.environ[HOME]
            else:
                os.environ[HOME] = before
            shutil.rmtree(temporary, ignore_errors=True)
    else:
        yield home


def _make_private(home: Path) -> None:
    home.parent.mkdir(parents=True, exist_ok=True)
    with suppress(FileExistsError):
        home.mkdir(mode=0o700)
    with tempfile.TemporaryFile(dir=home):
        pass
    mode = home.stat().st_mode
    # A folder that all may write to by design, as /tmp, is nobody's home; the files in it are private all the same.
    if _is_own(home) and mode & 0o077 and not mode & stat.S_ISVTX and home != Path.home():
        home.chmod(0o700)
        log.info("%s %s can be read by its owner alone from now on", HOME, home)
    for file in home.glob(f"{DATABASE}*"):
        if not file.is_symlink() and _is_own(file):
            file.chmod(0o600)


def _is_own(path: Path) -> bool:
    return path.stat().st_uid == os.geteuid()
