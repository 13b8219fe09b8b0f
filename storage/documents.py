"""Documents of a store: JSON that a person may have edited, a disk damaged or a stranger written."""

from __future__ import annotations

import json
from typing import Any

from ritz.storage.errors import StorageError
from ritz.storage.wording import cut

Json = dict[str, Any]
"""A JSON object as it lies in a store: storage looks at what it relies on itself, the rooms above know its type."""

LARGEST = 256 * 2**20
"""Bytes of the largest document that is read; the curve of a million steps takes a tenth of that."""

DEEPEST = 50
"""Levels of lists and mappings inside each other."""


def parsed(data: bytes, where: str) -> Any:
    """Return what a JSON document says, bounded in time and in what the message quotes.

    Parameters
    ----------
    data
        UTF-8 text.
    where
        What it is, for the message: its path or URL.

    Raises
    ------
    StorageError
        It is no JSON, or larger or deeper than any document of a store.

    Examples
    --------
    >>> parsed(b'{"status": "finished"}', "runs/one/record.json")
    {'status': 'finished'}
    >>> parsed(b"[" * 100000, "run.json")
    Traceback (most recent call last):
    ...
    ritz.storage.errors.StorageError: run.json: is damaged: lists and mappings more than 50 deep; expected JSON
    """
    if len(data) > LARGEST:
        raise too_large(where, len(data))
    try:
        document = json.loads(data)
        _check_depth(document)
    except RecursionError:
        reason = f"lists and mappings more than {DEEPEST} deep"
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        reason = cut(str(error))
    except ValueError:
        reason = "a whole number of more digits than Python reads"
    else:
        return document
    raise StorageError(f"{where}: is damaged: {reason}; expected JSON")


def too_large(where: str, size: int, most: int = LARGEST) -> StorageError:
    """Return the error about what has more bytes than any document of a store."""
    return StorageError(f"{where}: has {size} bytes; expected a document of at most {most}")


def mapping(data: bytes, where: str) -> Json:
    """Return a JSON document that is a mapping; see `parsed`.

    Raises
    ------
    StorageError
        It is something else.
    """
    document = parsed(data, where)
    if not isinstance(document, dict):
        raise StorageError(f"{where}: is damaged: holds a {type(document).__name__}; expected a mapping")
    return document


def flat(document: Any, path: str = "") -> Json:
    """Return the values of nested mappings by their dotted paths.

    Examples
    --------
    >>> flat({"data": {"seed": 0, "splits": {"train": 12}}})
    {'data.seed': 0, 'data.splits.train': 12}
    """
    if not isinstance(document, dict):
        return {path: document}
    found: Json = {}
    for key, value in document.items():
        found |= flat(value, f"{path}.{key}" if path else key)
    return found


def _check_depth(document: Any) -> None:
    # What reads the document goes down by calling itself.
    level = [document]
    for _ in range(DEEPEST + 1):
        level = [
            inner
            for one in level
            if isinstance(one, dict | list)
            for inner in (one.values() if isinstance(one, dict) else one)
        ]
        if not level:
            return
    raise RecursionError
