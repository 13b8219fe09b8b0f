"""Digests of files, and documents that carry their own."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

from ritz.storage.documents import Json
from ritz.storage.errors import Damaged


def digest(data: bytes) -> str:
    """Return the SHA-256 of a file, as 64 hexadecimal digits."""
    return hashlib.sha256(data).hexdigest()


def stamped(document: Mapping[str, Any]) -> bytes:
    """Return a document as a JSON file with its own digest in it, under ``digest``."""
    own = digest(json.dumps(document, sort_keys=True).encode())
    return json.dumps({**document, "digest": own}, indent=1).encode()


def unstamped(path: str, data: bytes) -> Json:
    """Return the document that `stamped` made a file of.

    Raises
    ------
    Damaged
        It made other bytes of it; the message names ``path``.
    """
    try:
        document = json.loads(data)
        del document["digest"]
        if stamped(document) == data:
            return dict(document)
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise Damaged(f"{path}: does not have its own digest") from error
    raise Damaged(f"{path}: does not have its own digest")
