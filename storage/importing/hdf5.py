from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from ritz.storage.importing.source import Source

_HIDDEN = {"DIMENSION_LIST", "REFERENCE_LIST", "CLASS", "NAME", "_Netcdf4Dimid", "_Netcdf4Coordinates"}


class HDF5(Source):
    """HDF5 and NetCDF-4, which names its dimensions by scales."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self._file = h5py.File(path, "r")
        self._names: list[str] | None = None

    def close(self) -> None:
        """See `Source.close`."""
        self._file.close()

    def names(self) -> list[str]:
        """See `Source.names`."""
        if self._names is None:
            found: list[str] = []

            def look(key: str, member: h5py.Group | h5py.Dataset) -> None:
                # A dimension of NetCDF without coordinates is a scale that says so.
                if isinstance(member, h5py.Dataset) and not _only_dimension(member):
                    found.append(key)

            self._file.visititems(look)
            self._names = sorted(found)
        return self._names

    def _there(self, name: str) -> Any | None:
        found = self._file.get(name) if name else None
        return found if isinstance(found, h5py.Dataset) else None

    def dims(self, name: str) -> tuple[str, ...] | None:
        """Return the names of the scales, or the labels, of an array; see `Source.dims`."""
        array = self._there(name)
        if array is None:
            return None
        if array.attrs.get("CLASS") == b"DIMENSION_SCALE" and array.ndim == 1:
            return (name.rpartition("/")[2],)
        named = [_label(dim) for dim in array.dims]
        return tuple(named) if named and all(named) else None

    def attrs(self, name: str = "") -> Mapping[str, Any]:
        """See `Source.attrs`."""
        found = self._file.get(name) if name else self._file
        return {} if found is None else {k: _plain(v) for k, v in found.attrs.items() if k not in _HIDDEN}


def _only_dimension(array: h5py.Dataset) -> bool:
    name = array.attrs.get("NAME", b"")
    return isinstance(name, bytes) and name.startswith(b"This is a netCDF dimension but not")


def _label(dim: Any) -> str:
    return str(dim[0].name).rpartition("/")[2] if len(dim) else str(dim.label)


def _plain(value: Any) -> Any:
    if isinstance(value, bytes):
        return value.decode(errors="replace")
    if isinstance(value, np.ndarray) and value.dtype.kind in "OS":
        return [_plain(one) for one in value.tolist()]
    return value
