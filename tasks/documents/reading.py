"""Documents as they lie in a store, read into their types."""

from __future__ import annotations

from typing import Any, TypeVar

from pydantic import ValidationError

from ritz.compute.document import Document
from ritz.storage.errors import Damaged
from ritz.storage.wording import cut, shown

D = TypeVar("D", bound=Document)


def read(kind: type[D], found: Any, where: str) -> D:
    """Return a document of a store.

    Parameters
    ----------
    kind
        What it is.
    found
        What JSON says.
    where
        The place of its file, for the message.

    Raises
    ------
    ritz.storage.errors.Damaged
        An entry is missing or of another type, or a later release wrote it; the message names the file and the entry.
    """
    try:
        return kind.model_validate(found)
    except ValidationError as error:
        raise Damaged(f"{where}: {_first(error)}") from error


def _first(error: ValidationError) -> str:
    fault = error.errors(include_url=False)[0]
    entry = ".".join(map(str, fault["loc"]))
    if fault["type"] == "missing":
        return f"{entry} is missing"
    if fault["type"] == "value_error":
        return fault["msg"].removeprefix("Value error, ")
    return f"{entry or 'it'} is {shown(fault['input'])}, expected {cut(_expected(fault['msg']))}"


def _expected(message: str) -> str:
    """Return what pydantic's message asks for: "Input should be a valid integer" asks for "a valid integer"."""
    return message.partition("should be ")[2] or message
