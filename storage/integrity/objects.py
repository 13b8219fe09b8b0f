"""The files of an Icechunk repository, found without its engine: what a damaged one is called."""

from __future__ import annotations

import json
import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache

import icechunk
from numcodecs import zstd

from ritz.storage.documents import Json
from ritz.storage.errors import StorageError
from ritz.storage.names import version_number
from ritz.storage.repository import BRANCH
from ritz.storage.store import Store
from ritz.storage.wording import shown

# Twelve bytes that say whose file it is, 24 with the name of the writer, and one each for the version of the format,
# the type of the file and its compression, which is zstd. What follows is a flatbuffer.
HEADER = 39

_BASE32 = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"


@dataclass(frozen=True)
class Snapshot:
    """What the file of a snapshot says of others.

    Attributes
    ----------
    id
        Of the snapshot.
    arrays
        For every array the manifests that hold its references: id, and what part of its grid of chunks each covers.
    content
        All that Icechunk shows of the snapshot but its parent, which expiring older ones may replace.
    """

    id: str
    arrays: dict[str, list[tuple[str, list[list[int]]]]]
    content: Json

    @classmethod
    def of(cls, repository: icechunk.Repository, snapshot: str) -> Snapshot:
        """Read it through the engine."""
        content = json.loads(repository.inspect_snapshot(snapshot, pretty=False))
        content.pop("parent_id", None)
        arrays = {
            node["path"].lstrip("/"): [(part["id"], part["extents"]) for part in node.get("manifest_refs") or []]
            for node in content["nodes"]
            if node["node_type"] == "array"
        }
        return cls(snapshot, arrays, content)

    def metadata(self) -> list[str]:
        """Return the files that describe the snapshot, relative to the repository; chunks are not among them."""
        manifests = sorted({identifier for parts in self.arrays.values() for identifier, _ in parts})
        return [snapshot_file(self.id), f"transactions/{self.id}", *(f"manifests/{one}" for one in manifests)]

    def manifest_of(self, array: str, index: Sequence[int]) -> str | None:
        """Return the file of the manifest that refers to a chunk, None if no manifest covers its place."""
        for identifier, extents in self.arrays.get(array, ()):
            if all(first <= place < end for place, (first, end) in zip(index, extents, strict=True)):
                return f"manifests/{identifier}"
        return None

    def object_of(self, store: Store, key: str, array: str, index: Sequence[int]) -> str:
        """Return the file that holds a chunk, relative to the repository.

        That is the manifest itself where a chunk is so small that it lies in there, and where the manifest cannot be
        read; the snapshot where no manifest is named.
        """
        manifest = self.manifest_of(array, index)
        if manifest is None:
            return snapshot_file(self.id)
        try:
            references = _references(store.read(f"{key}/{manifest}"))
            return references.get((array_node(self, array), tuple(index))) or manifest
        except (StorageError, RuntimeError, ValueError, struct.error, IndexError):
            # The manifest is damaged; the caller reports that.
            return manifest

    def chunks_of(self, store: Store, key: str, array: str) -> list[str]:
        """Return the files that hold the chunks of an array, but for those in manifests; relative to the repository."""
        node = array_node(self, array)
        references = (_references(store.read(f"{key}/manifests/{part}")) for part, _ in self.arrays[array])
        return sorted({file for part in references for (owner, _), file in part.items() if owner == node and file})


def array_node(snapshot: Snapshot, array: str) -> str:
    """Return the id by which manifests call an array."""
    return next(str(node["id"]) for node in snapshot.content["nodes"] if node["path"] == f"/{array}")


def snapshot_file(snapshot: str) -> str:
    """Return the file of a snapshot, relative to the repository."""
    return f"snapshots/{snapshot}"


def tag_file(tag: str) -> str:
    """Return the file that says which snapshot a tag means, relative to the repository."""
    return f"refs/tag.{tag}/ref.json"


def tags(store: Store, key: str) -> list[str]:
    """Return the names of the published versions, oldest first, from the names of their files."""
    names = (name.removeprefix("tag.") for name in store.list(f"{key}/refs") if name.startswith("tag."))
    return sorted((name for name in names if version_number(name) is not None), key=lambda name: int(name[1:]))


def branch_file() -> str:
    """Return the file that says which snapshot was committed last, relative to the repository."""
    return f"refs/branch.{BRANCH}/ref.json"


def pointed_at(store: Store, key: str, file: str) -> str:
    """Return the snapshot that a tag or a branch means.

    Raises
    ------
    StorageError
        If the file is missing or holds something else.
    """
    snapshot = store.document(f"{key}/{file}").get("snapshot")
    if not isinstance(snapshot, str) or not snapshot or set(snapshot) - set(_BASE32):
        raise StorageError(f"{store.location(f'{key}/{file}')}: {shown(snapshot)} is not the id of a snapshot")
    return snapshot


@lru_cache(maxsize=8)
def _references(manifest: bytes) -> dict[tuple[str, tuple[int, ...]], str | None]:
    """Return the files of the chunks that a manifest names, by array and place; None for one that lies in it.

    Icechunk has no call for this. Its format 1, of which this reads as much as it takes: a table (id, arrays), of
    tables (id of the array, references), of tables (place, inlined bytes, offset, length, id of the file, …).
    """
    data = bytes(zstd.decompress(manifest[HEADER:]))
    found: dict[tuple[str, tuple[int, ...]], str | None] = {}
    for array in _tables(data, _fields(data, _number("I", data, 0))[1]):
        node, references = _fields(data, array)[:2]
        for reference in _tables(data, references):
            place, inlined, _, _, file = (*_fields(data, reference), *[0] * 5)[:5]
            start, count = _vector(data, place)
            index = struct.unpack_from(f"<{count}I", data, start)
            name = f"chunks/{_base32(data[file : file + 12])}" if file and not inlined else None
            found[_base32(data[node : node + 8]), index] = name
    return found


def _number(format: str, data: bytes, at: int) -> int:
    return int(struct.unpack_from(f"<{format}", data, at)[0])


def _fields(data: bytes, table: int) -> list[int]:
    """Return where the fields of a flatbuffer's table lie, 0 for one that is left out."""
    places = table - _number("i", data, table)
    offsets = struct.unpack_from(f"<{(_number('H', data, places) - 4) // 2}H", data, places + 4)
    return [table + offset if offset else 0 for offset in offsets]


def _vector(data: bytes, field: int) -> tuple[int, int]:
    start = field + _number("I", data, field)
    return start + 4, _number("I", data, start)


def _tables(data: bytes, field: int) -> Iterator[int]:
    start, count = _vector(data, field)
    for place in range(start, start + 4 * count, 4):
        yield place + _number("I", data, place)


def _base32(identifier: bytes) -> str:
    bits = "".join(f"{byte:08b}" for byte in identifier)
    bits += "0" * (-len(bits) % 5)
    return "".join(_BASE32[int(bits[i : i + 5], 2)] for i in range(0, len(bits), 5))
