from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from ritz.storage.importing.source import Source
from ritz.tasks.importing.layouts.layout import Layout
from ritz.tasks.importing.variables import Dimension


class Named(Layout):
    """Files that name their arrays, and NetCDF and Zarr their dimensions; all else is said of each variable."""

    kind: Literal["named"] = "named"

    def source(self, name: str, file: Source) -> str:
        """Return the array of the same name, or the only one that a file of one array has; see `Layout.source`."""
        names = file.names()
        return names[0] if len(names) == 1 and file.nameless else name

    def dims(self, source: str, file: Source) -> tuple[str | int, ...] | None:
        """Return the names that the file has; see `Layout.dims`."""
        return file.dims(source)

    def coordinates(self, dims: Mapping[str, Dimension], name: str, file: Source) -> Dimension:
        """Return what is said, or the array of the name of the dimension; see `Layout.coordinates`."""
        said = dims.get(name, Dimension())
        if said.source or said.values or said.first is not None or name not in file.coordinates():
            return said
        return said.model_copy(update={"source": name})
