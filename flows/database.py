"""Makes the database that a new Prefect home begins with, once for an installation: ``python -m ritz.flows.database``.

Prefect's server makes its tables revision by revision, and describes its blocks, when it finds no database: that takes
twice as long as all else that it does to start. What it has made then is the same in every home, and nobody's own.
"""

from __future__ import annotations

import os
import shutil
import sqlite3
import sys
import tempfile
from contextlib import closing, suppress
from importlib.metadata import version
from pathlib import Path

from ritz.flows.home import DATABASE, HOME

FILES = ("memo_store.toml", DATABASE)
"""What a server leaves in a home: which blocks its database describes, and the database."""


def prepared() -> Path:
    """Return the folder of this installation where the database lies for its version of Prefect."""
    return Path(sys.prefix) / "share" / "ritz" / f"prefect-{version('prefect')}"


def prepare(folder: Path) -> None:
    """Have a server make its database, and keep it in ``folder``; one that is there is kept."""
    from ritz.flows.server import embedded

    if folder.exists():
        return
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f"{folder.name}-", dir=folder.parent) as made:
        os.environ[HOME] = made
        with embedded():
            pass
        # What it has written last lies beside the database until it is closed.
        with closing(sqlite3.connect(Path(made, DATABASE))) as database:
            database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        whole = Path(made, "whole")
        whole.mkdir()
        for name in FILES:
            shutil.move(Path(made, name), whole / name)
        # Somebody else may have been first.
        with suppress(OSError):
            whole.rename(folder)


def provide(home: Path, folder: Path) -> None:
    """Give a home without a database the one of ``folder``, its owner's alone; nothing where there is none."""
    if os.path.lexists(home / DATABASE) or not folder.exists():
        return
    for name in FILES:
        descriptor, copy = tempfile.mkstemp(prefix=f"{name}-", dir=home)
        with os.fdopen(descriptor, "wb") as file:
            file.write((folder / name).read_bytes())
        # A name that is taken meanwhile stays.
        with suppress(FileExistsError):
            os.link(copy, home / name)
        Path(copy).unlink()


if __name__ == "__main__":
    prepare(prepared())
