from __future__ import annotations

import base64
import struct
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import zarr

from ritz.storage.errors import StorageError
from ritz.storage.importing.source import Source


class ZarrGroup(Source):
    """A Zarr group, version 2 or 3: in a folder, a zip, or as the branch ``main`` of an Icechunk repository."""

    def __init__(self, path: Path, store: Any, root: str = "", held: Any = None) -> None:
        super().__init__(path)
        self._held = held
        top = zarr.open(store, path=root, mode="r")
        if isinstance(top, zarr.Array):
            raise StorageError(f"{path}: one Zarr array of shape {top.shape}; expected a group with named arrays")
        self._root = top
        self._names: list[str] | None = None

    def close(self) -> None:
        """See `Source.close`."""
        if self._held is not None:
            self._held.close()

    def names(self) -> list[str]:
        """See `Source.names`."""
        if self._names is None:
            members = self._root.members(max_depth=None)
            self._names = sorted(key for key, member in members if isinstance(member, zarr.Array))
        return self._names

    def _there(self, name: str) -> Any | None:
        found = self._root.get(name) if name else None
        return found if isinstance(found, zarr.Array) else None

    def dims(self, name: str) -> tuple[str, ...] | None:
        """Return the names that the array has, as Zarr 3 or xarray write them; see `Source.dims`."""
        array = self._there(name)
        if array is None:
            return None
        meta: Any = array.metadata
        named = getattr(meta, "dimension_names", None) or array.attrs.get("_ARRAY_DIMENSIONS")
        return tuple(str(one) for one in named) if named and all(named) else None

    def attrs(self, name: str = "") -> Mapping[str, Any]:
        """Return the attributes, with the fill value that xarray writes: its bytes, or in version 2 that of the array.

        See `Source.attrs`.
        """
        found = self._root.get(name) if name else self._root
        own = {} if found is None else found.attrs.asdict()
        if isinstance(found, zarr.Array):
            meta: Any = found.metadata
            if meta.zarr_format == 2 and "_ARRAY_DIMENSIONS" in own and meta.fill_value is not None:
                own["_FillValue"] = meta.fill_value
            fill = own.get("_FillValue")
            if isinstance(fill, str) and found.dtype.kind == "f":
                own["_FillValue"] = struct.unpack("<d", base64.standard_b64decode(fill))[0]
        return own
