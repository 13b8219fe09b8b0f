"""Which datasets a store has."""

from __future__ import annotations

from ritz.storage.errors import StorageError
from ritz.storage.names import check_name
from ritz.storage.repository import open_repository
from ritz.storage.shapes import Found
from ritz.storage.store import Store


def look_at_datasets(store: Store) -> Found[str]:
    """Return the names of the datasets in a store, sorted, and what else lies among them.

    A dataset of which the files that the engine reads first are damaged is among the latter.
    """
    good: list[str] = []
    damaged: list[StorageError] = []
    for name in store.list("datasets"):
        try:
            check_name(f"{store.location('datasets')}: dataset", name)
            if open_repository(store, f"datasets/{name}") is not None:
                good.append(name)
        except StorageError as error:
            damaged.append(error)
    return Found(good, damaged)


def list_datasets(store: Store) -> list[str]:
    """Return the names of the datasets in a store, sorted; what is damaged is named in the log."""
    return look_at_datasets(store).named()
