"""Room on disks and in memory."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

from ritz.storage.store import Store
from ritz.tasks.doctor.finding import Finding
from ritz.tasks.generation.room import size

LEAST, LITTLE = 1 << 30, 10 << 30
"""Free bytes below which a command fails soon, and below which it may."""


def disk(store_url: str) -> Iterator[Finding]:
    """Look at the free room where the store lies, if that is a folder, and where temporary files do."""
    url = Store(store_url).url
    places = {"temporary files": Path(tempfile.gettempdir())}
    if "://" not in url:
        places = {"the store": standing(Path(url))} | places
    for what, folder in places.items():
        free = shutil.disk_usage(folder).free
        said = f"{size(free)} free for {what} at {folder}"
        state = "fail" if free < LEAST else "warn" if free < LITTLE else "ok"
        move = "name another --store" if what == "the store" else "set TMPDIR"
        todo = "" if state == "ok" else f"make room, or {move}"
        yield Finding.model_validate({"subject": "disk", "state": state, "said": said, "todo": todo})


def standing(folder: Path) -> Path:
    """Return a folder, or the nearest one above it that exists."""
    return next(one for one in (folder, *folder.parents) if one.is_dir())
