from __future__ import annotations

import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from ritz.storage.errors import StorageError
from ritz.storage.importing.source import Source

LARGEST = 2**28
"""Bytes of the largest array of an ``.npz``, which is read whole; 256 MiB."""


class NumpyFile(Source):
    """One array in a ``.npy``, mapped into memory, or several in an ``.npz``, each read whole when it is asked for."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self._zip = zipfile.is_zipfile(path)
        self.nameless = not self._zip
        self._file: Any = np.load(path, mmap_mode=None if self._zip else "r", allow_pickle=False)
        self._kept: dict[str, np.ndarray] = {}

    def close(self) -> None:
        """See `Source.close`."""
        self._kept.clear()
        if self._zip:
            self._file.close()
        else:
            self._file = None

    def names(self) -> list[str]:
        """Return the names in an ``.npz``, the stem of a ``.npy``; see `Source.names`."""
        return sorted(self._file.files) if self._zip else [self.path.stem]

    def _there(self, name: str) -> Any | None:
        if not self._zip:
            return self._file
        if name not in self._file.files:
            return None
        if name not in self._kept:
            size = self._file.zip.getinfo(f"{name}.npy").file_size
            if size > LARGEST:
                raise StorageError(
                    f"{self.path}: array {name!r} has {size} bytes, expected at most {LARGEST} in an .npz, which is "
                    "read whole; save it as .npy, which is read in parts"
                )
            self._kept = {name: self._file[name]}
        return self._kept[name]

    def dims(self, name: str) -> tuple[str, ...] | None:
        """Return None: NumPy names no dimensions; see `Source.dims`."""
        del name
        return None

    def attrs(self, name: str = "") -> Mapping[str, Any]:
        """Return none: NumPy has no attributes; see `Source.attrs`."""
        del name
        return {}
