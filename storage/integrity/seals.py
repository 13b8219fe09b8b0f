"""Digests of the files that describe a published version.

Chunks of samples carry checksums of their own; the snapshot, its manifests and the coordinates of space do not, and a
flipped byte in one of them may go unseen by the engine. So publishing writes their digests beside them.
"""

from __future__ import annotations

import asyncio
import json
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import icechunk
import zarr
from zarr.core.buffer import default_buffer_prototype

from ritz.storage.digests import digest, stamped, unstamped
from ritz.storage.documents import LARGEST
from ritz.storage.integrity.objects import Snapshot
from ritz.storage.shapes import expect
from ritz.storage.store import Store


@dataclass(frozen=True)
class Damage:
    """A file that is not what was published."""

    object: str
    """Its path, relative to the store."""
    what: str
    """Description of the damage."""


@dataclass(frozen=True)
class Seal:
    """What was written when a version was published: its snapshot, and the digests of the files that describe it."""

    snapshot: str
    content: str
    """Digest of the snapshot's contents, not of its bytes: expiring older snapshots rewrites the file."""
    files: dict[str, str]
    """Digests by path, relative to the repository."""


def seal(store: Store, key: str, repository: icechunk.Repository, tag: str, snapshot: str) -> None:
    """Write the seal of a version that is about to be published.

    Parameters
    ----------
    key
        Folder of the repository.
    tag, snapshot
        ``"v1"``, … and the state that it will mean.
    """
    contents = Snapshot.of(repository, snapshot)
    group: Any = zarr.open_group(repository.readonly_session(snapshot_id=snapshot).store, mode="r")
    # Coordinates of space and time are written by xarray, whose chunks have no checksum.
    plain = [name for name, array in group.arrays() if "sample" not in (array.metadata.dimension_names or ())]
    files = [*contents.metadata(), *(file for name in plain for file in contents.chunks_of(store, key, name))]
    document = {
        "snapshot": snapshot,
        "content": content_digest(repository, snapshot),
        "files": {file: digest(store.read(f"{key}/{file}")) for file in files},
    }
    # With its own digest, so that a flipped byte in here is not taken for one in what it describes.
    store.write(seal_key(key, tag), stamped(document))


def seal_key(key: str, tag: str) -> str:
    """Return the key of the seal of a version."""
    return f"{key}/seals/{tag}.json"


def read_seal(store: Store, key: str, tag: str) -> Seal:
    """Read the seal of a version.

    Raises
    ------
    StorageError
        If it is missing or damaged.
    """
    path = store.location(seal_key(key, tag))
    document = unstamped(path, store.read(seal_key(key, tag), LARGEST))
    expect(path, document, {"snapshot": str, "content": str, "files": dict})
    return Seal(document["snapshot"], document["content"], document["files"])


def broken(store: Store, key: str, kept: Seal) -> list[Damage]:
    """Return which files of a sealed version are missing or have other bytes."""
    return [found for file, wanted in kept.files.items() if (found := _compare(store, f"{key}/{file}", wanted))]


def _compare(store: Store, key: str, wanted: str) -> Damage | None:
    if not store.exists(key):
        return Damage(key, "missing")
    return None if digest(store.read(key)) == wanted else Damage(key, "has other bytes than when it was published")


def content_digest(repository: icechunk.Repository, snapshot: str) -> str:
    """Return the digest of what a snapshot says: its nodes with their metadata and chunks, its manifests, its message.

    What the engine shows of a snapshot does not include how it finds the chunks in there, so it is asked for them.
    """
    session = repository.readonly_session(snapshot_id=snapshot)

    async def looked_up() -> list[Any]:
        prototype = default_buffer_prototype()
        found: list[Any] = []
        for node in content["nodes"]:
            document = await session.store.get(f"{node['path'].lstrip('/')}/zarr.json".lstrip("/"), prototype)
            places: list[list[int]] = []
            if node["node_type"] == "array":
                places = sorted([list(place) async for place in session.chunk_coordinates(node["path"])])
            found.append([node["path"], None if document is None else document.to_bytes().decode(), places])
        return found

    content = Snapshot.of(repository, snapshot).content
    # A thread of its own, because the caller's may be running an event loop already.
    with ThreadPoolExecutor(1) as pool:
        described = pool.submit(asyncio.run, looked_up()).result()
    return digest(json.dumps([content, described], sort_keys=True).encode())
