from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from scipy.io import netcdf_file

from ritz.storage.importing.source import Index, Source


class ClassicNetCDF(Source):
    """NetCDF, classic or with 64-bit offsets, mapped into memory."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self._file = netcdf_file(str(path), "r", mmap=True)

    def close(self) -> None:
        """See `Source.close`."""
        self._file.close()

    def names(self) -> list[str]:
        """See `Source.names`."""
        return sorted(self._file.variables)

    def _there(self, name: str) -> Any | None:
        found = self._file.variables.get(name)
        return None if found is None else found.data

    def read(self, name: str, index: Index = ()) -> np.ndarray:
        """Return a copy of its own: the file cannot be closed under parts of its map; see `Source.read`."""
        return np.array(super().read(name, index))

    def dims(self, name: str) -> tuple[str, ...] | None:
        """See `Source.dims`."""
        found = self._file.variables.get(name)
        return None if found is None else tuple(found.dimensions)

    def attrs(self, name: str = "") -> Mapping[str, Any]:
        """See `Source.attrs`."""
        found = self._file.variables.get(name) if name else self._file
        own = {} if found is None else dict(found._attributes)
        return {
            key: value.decode(errors="replace") if isinstance(value, bytes) else value for key, value in own.items()
        }
