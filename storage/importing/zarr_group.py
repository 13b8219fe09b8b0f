from __future__ import annotations

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
        self._arrays: dict[str, Any] | None = None

    def close(self) -> None:
        """See `Source.close`."""
        if self._held is not None:
            self._held.close()

    def names(self) -> list[str]:
        """See `Source.names`."""
        if self._arrays is None:
            members = self._root.members(max_depth=None)
            self._arrays = {key: member for key, member in sorted(members) if isinstance(member, zarr.Array)}
        return list(self._arrays)

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
        """Return the attributes, with the fill value that xarray writes; see `Source.attrs`."""
        found = self._root.get(name) if name else self._root
        return {} if found is None else found.attrs.asdict()
