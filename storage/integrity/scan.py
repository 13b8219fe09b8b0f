"""One version of a dataset, read so that every damaged chunk is found and named."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import icechunk
import numpy as np
import zarr

from ritz.storage.documents import Json
from ritz.storage.errors import StorageError
from ritz.storage.integrity.objects import Snapshot, branch_file, pointed_at, snapshot_file
from ritz.storage.integrity.seals import Seal, content_digest
from ritz.storage.layout import LAYOUT_VERSION
from ritz.storage.ledger import COLUMNS
from ritz.storage.names import dataset_key
from ritz.storage.repository import attach, panics_are_errors
from ritz.storage.store import Store

DAMAGED = (icechunk.IcechunkError, ValueError, RuntimeError, OSError, KeyError, IndexError, TypeError)
"""What zarr, its codecs and the engine raise when bytes are not what they should be."""


@dataclass(frozen=True)
class ShardValues:
    """The values of one array for one shard.

    Attributes
    ----------
    values
        ``(shard, *dims)``; what could not be read is zero.
    unreadable
        ``(shard,)`` booleans.
    chunks
        How many chunks were read, or tried.
    faults
        Groups of rows that are unreadable for one reason.
    """

    values: np.ndarray
    unreadable: np.ndarray
    chunks: int
    faults: tuple[Fault, ...]


@dataclass(frozen=True)
class Fault:
    """Rows of one array in one shard that cannot be read, and the file in which they lie."""

    variable: str
    rows: tuple[int, ...]
    object: str
    what: str


class Unopened(StorageError):
    """The engine cannot open a version.

    Attributes
    ----------
    object
        Path of the file that keeps it from that, relative to the store.
    """

    def __init__(self, object: str, what: str) -> None:
        super().__init__(f"{object}: {what}")
        self.object, self.what = object, what


class Scan:
    """A snapshot, opened to be read to the last byte.

    Parameters
    ----------
    store, name, snapshot
        What to open.

    Raises
    ------
    Unopened
        The engine cannot open it.
    StorageError
        It has another layout version.
    """

    def __init__(self, store: Store, name: str, snapshot: str) -> None:
        self.store, self.name, self.key = store, name, dataset_key(name)
        try:
            self._repository = attach(store, self.key)
        except StorageError as error:
            raise Unopened(_needed(store, self.key), str(error)) from error
        try:
            with panics_are_errors():
                self._session = self._repository.readonly_session(snapshot_id=snapshot)
                self._contents = Snapshot.of(self._repository, snapshot)
                group = zarr.open_group(self._session.store, mode="r")
                self.attrs: Json = dict(group.attrs)
                # By the names that the snapshot states: a listing leaves out what it cannot read.
                self._arrays: Mapping[str, Any] = {name: group[name] for name in self._contents.arrays}
            self.shard = int(self.attrs["shard"])
            self.samples: int = self._arrays["status"].shape[0]
        except DAMAGED as error:
            raise Unopened(f"{self.key}/{snapshot_file(snapshot)}", reason(error)) from error
        if self.attrs.get("layout_version") != LAYOUT_VERSION:
            raise StorageError(
                f"{store.location(self.key)}: layout version {self.attrs.get('layout_version')!r}, "
                f"expected {LAYOUT_VERSION}"
            )
        self.snapshot = snapshot

    @property
    def n_shards(self) -> int:
        """Shards there are or will be."""
        return self.samples // self.shard

    @cached_property
    def fields(self) -> dict[str, str]:
        """The role of every field, ``"input"`` or ``"output"``, by name."""
        return {name: str(array.attrs["role"]) for name, array in self._arrays.items() if "role" in array.attrs}

    @property
    def stated(self) -> int | None:
        """How many samples the version was published with, None for a state that was not published."""
        samples = self._contents.content["metadata"].get("samples")
        return None if samples is None else int(samples)

    @property
    def written(self) -> str:
        """When the snapshot was written."""
        return str(self._contents.content["flushed_at"])

    @property
    def sample_bytes(self) -> int:
        """Size of the fields of one sample, uncompressed."""
        return int(sum(self._arrays[name].nbytes for name in self.fields) // self.samples)

    def same_content(self, seal: Seal) -> bool:
        """Return whether the snapshot has the contents that were sealed, in any bytes."""
        try:
            with panics_are_errors():
                return content_digest(self._repository, self.snapshot) == seal.content
        except DAMAGED:
            return False

    def solvers(self) -> tuple[str, ...]:
        """Return the solvers that the ledger may name."""
        return tuple(str(self.attrs["solvers"]).split())

    def has(self, shard: int) -> bool:
        """Return whether the snapshot refers to any chunk of a shard.

        A manifest that cannot be read counts as referring to it.
        """
        return any(self._refers(name, self._place(name, shard)) is not False for name in (*self.fields, *COLUMNS))

    def read(self, name: str, shard: int) -> ShardValues:
        """Read one array of one shard; leave out damaged chunks and name them.

        The checksums of all its chunks are verified. A chunk that is not there is a fault, not a fill value.
        """
        array, place = self._arrays[name], self._place(name, shard)
        first = shard * self.shard
        chunks = self.shard + 1 if array.shards else 1
        everything = np.arange(self.shard)
        if self._refers(name, place) is False:
            return self._lost(name, place, {int(row): "no chunk is stored" for row in everything}, chunks)
        try:
            with panics_are_errors():
                values = np.asarray(array[first : first + self.shard])
        except DAMAGED as error:
            if not array.shards:
                return self._lost(name, place, dict.fromkeys(range(self.shard), reason(error)), chunks)
        else:
            return ShardValues(values, np.zeros(self.shard, bool), chunks, ())
        # One sample after the other, so that the damage of one does not hide the others.
        values, why = np.zeros((self.shard, *array.shape[1:]), array.dtype), {}
        for row in range(self.shard):
            try:
                with panics_are_errors():
                    values[row] = array[first + row]
            except DAMAGED as error:
                why[row] = reason(error)
        if not why:
            why = dict.fromkeys(range(self.shard), "the shard is readable sample by sample and not as a whole")
        return self._lost(name, place, why, chunks, values)

    def whole(self, name: str) -> tuple[np.ndarray, list[Fault], int]:
        """Read an array that does not lie in shards, chunk by chunk along its first dimension.

        A chunk that the snapshot does not name is taken as zero: Zarr leaves out those that hold nothing else.

        Returns
        -------
        values, faults, chunks
            Zero where it is unreadable; faults have the rows; how many chunks there are.
        """
        array = self._arrays[name]
        if not array.shape:
            values, faults = self._scalar(name)
            return values, faults, 1
        values, faults, chunks = np.zeros(array.shape, array.dtype), [], 0
        step, across = array.chunks[0], int(np.prod([-(-n // c) for n, c in zip(*self._others(name), strict=True)]))
        for chunk, start in enumerate(range(0, array.shape[0], step)):
            rows = slice(start, min(start + step, array.shape[0]))
            chunks += across
            try:
                with panics_are_errors():
                    values[rows] = array[rows]
            except DAMAGED as error:
                lies_in = self._object(name, (chunk, *[0] * (array.ndim - 1)))
                faults.append(Fault(name, tuple(range(rows.start, rows.stop)), lies_in, reason(error)))
        return values, faults, chunks

    def coordinates(self) -> dict[str, tuple[str, ...]]:
        """Return the dimensions of the arrays that lie along no sample, by name."""
        dims = {name: tuple(array.metadata.dimension_names or ()) for name, array in self._arrays.items()}
        return {name: along for name, along in dims.items() if "sample" not in along}

    def lies_in(self, name: str) -> str:
        """Return the file that holds the first chunk of an array, relative to the store."""
        return self._object(name, (0,) * self._arrays[name].ndim)

    def _scalar(self, name: str) -> tuple[np.ndarray, list[Fault]]:
        try:
            with panics_are_errors():
                return np.asarray(self._arrays[name][()]), []
        except DAMAGED as error:
            return np.zeros(()), [Fault(name, (), self._object(name, ()), reason(error))]

    def _others(self, name: str) -> tuple[tuple[int, ...], tuple[int, ...]]:
        array = self._arrays[name]
        return array.shape[1:], array.chunks[1:]

    def _place(self, name: str, shard: int) -> tuple[int, ...]:
        return (shard, *[0] * (self._arrays[name].ndim - 1))

    def _refers(self, name: str, place: tuple[int, ...]) -> bool | None:
        """Return whether the snapshot has a chunk at a place, None if its manifest cannot be read."""
        try:
            with panics_are_errors():
                return bool(self._session.chunk_type(f"/{name}", list(place)) != icechunk.ChunkType.UNINITIALIZED)
        except DAMAGED:
            return None

    def _object(self, name: str, place: tuple[int, ...]) -> str:
        return f"{self.key}/{self._contents.object_of(self.store, self.key, name, place)}"

    def _lost(
        self, name: str, place: tuple[int, ...], why: Mapping[int, str], chunks: int, values: np.ndarray | None = None
    ) -> ShardValues:
        array = self._arrays[name]
        if values is None:
            values = np.zeros((self.shard, *array.shape[1:]), array.dtype)
        unreadable = np.zeros(self.shard, bool)
        unreadable[list(why)] = True
        if array.shards and len(why) > 1 and len(why) == self.shard and len(set(why.values())) == 1:
            # Checksums differ from sample to sample, but for that of the index.
            why = {row: f"all of the shard: {what}" for row, what in why.items()}
        groups: dict[str, list[int]] = {}
        for row, what in why.items():
            groups.setdefault(what, []).append(row)
        lies_in = self._object(name, place)
        return ShardValues(
            values,
            unreadable,
            chunks,
            tuple(Fault(name, tuple(rows), lies_in, what) for what, rows in groups.items()),
        )


def _needed(store: Store, key: str) -> str:
    """Return which of the two files that the engine reads when it opens a repository is the damaged one."""
    try:
        pointed_at(store, key, branch_file())
    except StorageError:
        return f"{key}/{branch_file()}"
    return f"{key}/config.yaml"


def reason(error: BaseException) -> str:
    """Return the line of an error that says what went wrong; the engine's others are a trace through it."""
    text = str(error).strip().removeprefix("x").strip()
    return text.split("\n")[0].strip() or type(error).__name__
