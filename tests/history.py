"""What the history of a dataset's repository says, read as a stranger would."""

from __future__ import annotations

import icechunk

from ritz.storage.store import Store


def commits(store: Store, name: str) -> list[list[int]]:
    """The shards of every commit of a dataset in a folder, the newest first; none for one that brought none."""
    folder = icechunk.local_filesystem_storage(store.location(f"datasets/{name}"))
    history = icechunk.Repository.open(folder).ancestry(branch="main")
    return [commit.metadata.get("shards", []) for commit in history]
