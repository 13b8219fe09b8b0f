"""A store that Ritz 0.1.0 wrote, with the dataset and the model ``small@v1``."""

from __future__ import annotations

import tarfile
from pathlib import Path

DATA = Path(__file__).with_name("data")


def unpacked(folder: Path) -> Path:
    """Put the store, an input of its model (``a.nc``) and what that predicted (``u.nc``) into a folder; return it."""
    with tarfile.open(DATA / "store.tar.gz") as archive:
        archive.extractall(folder, filter="data")
    return folder
