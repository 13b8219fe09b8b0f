from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self

import numpy as np

from ritz.storage.errors import StorageError
from ritz.storage.wording import cut, meant

Index = tuple[int | slice, ...]
"""One entry per dimension of an array."""


class Source(ABC):
    """A file or folder that is open, whose arrays are read slice by slice; a context that closes it.

    Paths of arrays are ``GROUP/NAME``. What a format packs is unpacked: ``scale_factor``, ``add_offset`` and fill
    values, which become NaN, as the CF conventions say.
    """

    nameless = False
    """Whether the format has one array without a name."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    @abstractmethod
    def close(self) -> None:
        """Close the file."""

    @abstractmethod
    def names(self) -> list[str]:
        """Return the paths of all arrays."""

    @abstractmethod
    def _there(self, name: str) -> Any | None:
        """Return the array of a path, with ``shape``, ``dtype`` and slices; None if there is none."""

    @abstractmethod
    def dims(self, name: str) -> tuple[str, ...] | None:
        """Return the names of the dimensions of an array, None where the file has none."""

    @abstractmethod
    def attrs(self, name: str = "") -> Mapping[str, Any]:
        """Return the attributes of an array or a group, those of the file by default; none where it is not there."""

    def coordinates(self) -> set[str]:
        """Return the arrays along a dimension of their own name."""
        return {name for name in self.names() if self.dims(name) == (name.rpartition("/")[2],)}

    def array(self, name: str) -> Any:
        """Return an array, not read yet.

        Raises
        ------
        StorageError
            There is none of this path, or it holds no real numbers.
        """
        found = self._there(name)
        if found is None:
            known = self.names()
            raise StorageError(
                f"{self.path}: no array {name!r}, expected one of {cut(', '.join(known)) or 'none'}{meant(name, known)}"
            )
        if found.dtype.kind not in "fiub":
            raise StorageError(f"{self.path}: array {name!r} holds {found.dtype}, expected real numbers")
        return found

    def shape(self, name: str) -> tuple[int, ...]:
        """Return the shape of an array; see `array`."""
        return tuple(int(size) for size in self.array(name).shape)

    def read(self, name: str, index: Index = ()) -> np.ndarray:
        """Read a part of an array, in its own floating-point type, or float64 where it is packed or of integers.

        Raises
        ------
        StorageError
            There is no such array, or the file is damaged.
        """
        array, attrs = self.array(name), self.attrs(name)
        try:
            values = np.asarray(array[index if index else ...])
        except (OSError, ValueError, RuntimeError, KeyError) as error:
            reason = cut(str(error).partition("\n")[0])
            raise StorageError(f"{self.path}: array {name!r} cannot be read: {reason}") from error
        fills = [attrs[key] for key in ("_FillValue", "missing_value") if key in attrs]
        packed = [float(np.ravel(attrs[key])[0]) if key in attrs else None for key in ("scale_factor", "add_offset")]
        exact = values
        if values.dtype.kind != "f" or packed != [None, None]:
            values = values.astype(np.float64)
        for fill in fills:
            at = exact == np.asarray(np.ravel(fill)[0]).astype(exact.dtype)
            if at.any():
                values = np.where(at, np.nan, values)
        scale, offset = packed
        values = values if scale is None else values * scale
        return values if offset is None else values + offset

    def number(self, attribute: str) -> float:
        """Return an attribute of the file, or ``GROUP/NAME/ATTRIBUTE``, that is one number.

        Raises
        ------
        StorageError
            There is none, or it is no finite number.
        """
        owner, _, name = attribute.rpartition("/")
        there = self.attrs(owner)
        if name not in there:
            known = cut(", ".join(map(str, there)) or "none")
            raise StorageError(
                f"{self.path}: no attribute {attribute!r}, expected one of {known}{meant(name, map(str, there))}"
            )
        try:
            value = np.asarray(there[name], np.float64)
        except (TypeError, ValueError):
            value = np.empty(0)
        if value.size != 1 or not np.isfinite(value).all():
            raise StorageError(f"{self.path}: attribute {attribute!r} is {there[name]!r}, expected one finite number")
        return float(value.reshape(()))
