"""Files that recipes name with their digest, such as the weights of a solver: stored once, never changed."""

from __future__ import annotations

from ritz.storage.digests import digest
from ritz.storage.errors import Damaged, Unknown
from ritz.storage.names import check_name
from ritz.storage.store import Store
from ritz.storage.wording import shown

FOLDER = "artefacts"
"""Where they lie: ``artefacts/NAME/DIGEST``."""


def save(store: Store, name: str, data: bytes) -> str:
    """Store a file under a name, beside others of that name, and return its digest; the same file is stored once.

    Raises
    ------
    StorageError
        The name is not allowed, or the store cannot be written.
    """
    own = digest(data)
    store.write(_key(name, own), data)
    return own


def load(store: Store, name: str, own: str) -> bytes:
    """Return the file of this name and digest.

    Raises
    ------
    Unknown
        There is none; the message lists the digests there are of this name, or the names.
    Damaged
        It holds other bytes than were written.
    StorageError
        The name is not allowed, or the store cannot be read.
    """
    key = _key(name, own)
    if not store.exists(key):
        folder = f"{FOLDER}/{name}"
        there = f"has {', '.join(sorted(store.list(folder)))}" if store.exists(folder) else "is not in the store"
        raise Unknown(f"artefact {shown(name)} with the digest {own}: {store.location(folder)} {there}")
    data = store.read(key)
    if digest(data) != own:
        raise Damaged(f"{store.location(key)}: its bytes have another digest than its name")
    return data


def _key(name: str, own: str) -> str:
    return f"{FOLDER}/{check_name('artefact', name)}/{check_name('digest', own)}"
