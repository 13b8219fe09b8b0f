"""Schemas of a store's documents: a damaged document is named, and does not hide the others."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any, Generic, NamedTuple, TypeVar

from ritz.storage.documents import Json, mapping
from ritz.storage.errors import Damaged, StorageError
from ritz.storage.wording import shown

log = logging.getLogger("ritz")

T = TypeVar("T")

Shape = Mapping[str, Any]
"""Required entries of a document: name → a type, a tuple of types, or the shape of an inner document."""


class Found(NamedTuple, Generic[T]):
    """Result of a scan of a store."""

    good: list[T]
    damaged: list[StorageError]
    """One for each entry that cannot be read; the message names its file."""

    def named(self) -> list[T]:
        """Return the good ones, and name the damaged ones in the log."""
        for error in self.damaged:
            log.warning("%s", error)
        return self.good


def checked(path: str, data: bytes | StorageError, shape: Shape) -> Json:
    """Return the document in a file.

    Parameters
    ----------
    path
        Its path, for the message.
    data
        Its bytes, or why there are none.
    shape
        What it must have; more is not looked at.

    Raises
    ------
    StorageError
        The file cannot be read, or holds something else.
    """
    if isinstance(data, StorageError):
        raise data
    document = mapping(data, path)
    expect(path, document, shape)
    return document


def expect(path: str, document: Any, shape: Shape, field: str = "") -> None:
    """Refuse a document that lacks something, or has it in another type.

    Raises
    ------
    Damaged
        The message names the file, the field, its value and what was expected.
    """
    where = f"{path}: {field or 'it'}"
    if not isinstance(document, dict):
        raise Damaged(f"{where} is {shown(document)}, expected a JSON object")
    for name, kind in shape.items():
        inner = f"{field}.{name}" if field else name
        if name not in document:
            raise Damaged(f"{path}: {inner} is missing")
        value = document[name]
        if isinstance(kind, Mapping):
            expect(path, value, kind, inner)
        elif not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool):
            kinds = kind if isinstance(kind, tuple) else (kind,)
            expected = " or ".join(_WORDS.get(one, one.__name__) for one in kinds)
            raise Damaged(f"{path}: {inner} is {shown(value)}, expected {expected}")


_WORDS = {str: "a string", int: "a whole number", float: "a number", dict: "an object", list: "a list", bool: "a truth"}
