from __future__ import annotations

import pickle
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import icechunk
import numpy as np
import zarr

from ritz.storage.chunks import write_field
from ritz.storage.errors import Refused
from ritz.storage.ledger import COLUMNS, STATUSES, Ledger, encode
from ritz.storage.repository import check_there, engine, stored_bytes
from ritz.storage.store import Store


@dataclass(frozen=True)
class Fork:
    """A session of a dataset that travels: made by `Dataset.fork`, written by `write_shard`, then committed.

    Small (about 500 bytes, and as much again for each written shard's references): the samples themselves go
    straight to the store.
    """

    identity: str
    """The dataset it belongs to."""
    state: bytes
    """The session, pickled; it holds no samples."""
    store: str
    """URL of the store of the dataset."""
    key: str
    """Its folder there."""
    shard: int | None = None
    """The shard written in it."""
    bytes: int = 0
    """What the fields of the shard take in the store."""
    rounding_bound: float | None = None
    """What storing the outputs of the shard may add to the relative residual of a sample; None where it is unknown."""

    @classmethod
    def of(cls, identity: str, session: icechunk.ForkSession, store: Store, key: str) -> Fork:
        """Wrap a session."""
        return cls(identity, pickle.dumps(session), store.url, key)

    def session(self) -> icechunk.ForkSession:
        """Return the session that can be written to or merged."""
        return pickle.loads(self.state)

    def holding(
        self, shard: int, session: icechunk.ForkSession, bytes: int, rounding_bound: float | None = None
    ) -> Fork:
        """Return the fork after a shard was written in its session."""
        return replace(self, state=pickle.dumps(session), shard=shard, bytes=bytes, rounding_bound=rounding_bound)


def write_shard(
    fork: Fork,
    shard_index: int,
    arrays: Mapping[str, np.ndarray],
    ledger: Ledger,
    rounding_bound: float | None = None,
) -> Fork:
    """Write one whole shard in a fork; it is part of the dataset once `Dataset.commit` has taken the result.

    Parameters
    ----------
    fork
        From `Dataset.fork`; one fork takes one shard. It is not changed.
    shard_index
        Which shard, from 0. There is no way to write a part of one.
    arrays
        Every field of the dataset, ``(shard, *space)``, in its stored dtype (float32 as a rule).
    ledger
        The columns of `ritz.storage.ledger.Ledger`, one entry a sample.
    rounding_bound
        What rounding to the stored dtype may add to the relative residual of any of these samples, which the ledger
        has before rounding. The largest over a version becomes an attribute of its outputs when it is published.

    Returns
    -------
    Fork
        To be handed to `Dataset.commit`.

    Raises
    ------
    Refused
        The fork holds a shard already, the index is out of range, a field is missing, unknown, of another
        shape or dtype, an ok sample is not finite, an output of a failed sample is not NaN throughout, or the
        ledger is wrong (see `ritz.storage.ledger.encode`). Nothing has been written.
    StorageError
        The store cannot be written, or is gone.
    """
    if fork.shard is not None:
        raise Refused(f"shard {shard_index}: this fork holds shard {fork.shard} already; start from a fresh fork")
    store = Store(fork.store)
    check_there(store, fork.key)
    with engine(store, fork.key):
        session = fork.session()
        size = _write(session, shard_index, arrays, ledger)
        check_changes(session, [shard_index], arrays)
    return fork.holding(shard_index, session, size, rounding_bound)


def _write(session: icechunk.ForkSession, shard_index: int, arrays: Mapping[str, np.ndarray], ledger: Ledger) -> int:
    """Write the shard in the session; return what its fields take in the store."""
    # Chunks equal to the fill value are written too: what exists is what was written.
    group = zarr.open_group(session.store, mode="r+")
    stored = dict(group.arrays())
    attrs: Mapping[str, Any] = group.attrs.asdict()
    length = int(attrs["shard"])
    check_index(shard_index, stored["status"].shape[0] // length)
    columns = encode(ledger, length, float(attrs["rtol"]), tuple(attrs["solvers"].split()))
    fields = {name: array for name, array in stored.items() if "role" in array.attrs}
    _check_fields(fields, arrays, length, columns["status"] == STATUSES.index("ok"))
    region = slice(shard_index * length, (shard_index + 1) * length)
    for name, column in columns.items():
        stored[name].with_config({"write_empty_chunks": True})[region] = column
    for name, values in arrays.items():
        write_field(stored[name], shard_index, values)
    chunks = [f"{name}/c/{shard_index}{'/0' * (array.ndim - 1)}" for name, array in fields.items()]
    return stored_bytes(session, chunks)


def check_index(shard_index: int, shards: int) -> None:
    """Refuse a shard index that is not one of ``shards``."""
    if not 0 <= shard_index < shards:
        raise Refused(f"shard {shard_index}: expected one of 0 to {shards - 1}")


def check_changes(
    session: icechunk.Session | icechunk.ForkSession, shards: Collection[int], fields: Iterable[str]
) -> None:
    """Refuse a session that changes anything but whole shards of every variable.

    Raises
    ------
    Refused
        It was not written by `write_shard` for these shards.
    """
    changed = _changes(session)
    if changed != {f"/{name}": sorted(shards) for name in (*fields, *COLUMNS)}:
        raise Refused(f"shard {', '.join(map(str, shards))}: its writing changes {changed}, not only this shard")


def _changes(session: icechunk.Session | icechunk.ForkSession) -> dict[str, list[int]]:
    """Return the shards that a session changes, by the variable's path; none where it is changed otherwise."""
    changes = session.status()
    others = (
        changes.new_arrays
        | changes.new_groups
        | changes.deleted_arrays
        | changes.deleted_groups
        | changes.updated_arrays
        | changes.updated_groups
    )
    chunks = {path: sorted({chunk[0] for chunk in chunks}) for path, chunks in changes.updated_chunks.items()}
    return chunks | {path: [] for path in others}


def _check_fields(
    stored: Mapping[str, zarr.Array], arrays: Mapping[str, np.ndarray], length: int, ok: np.ndarray
) -> None:
    if set(arrays) != set(stored):
        raise Refused(f"fields {sorted(arrays)}: expected {sorted(stored)}")
    for name, array in stored.items():
        values = arrays[name]
        shape = (length, *array.shape[1:])
        if values.shape != shape or values.dtype != array.dtype:
            raise Refused(
                f"field {name!r}: expected {array.dtype} of shape {shape}, got {values.dtype} of shape {values.shape}"
            )
        axes = tuple(range(1, values.ndim))
        bad = ok & ~np.isfinite(values).all(axis=axes)
        if bad.any():
            raise Refused(
                f"field {name!r}: sample {np.flatnonzero(bad)[0]} of the shard is ok and has NaN or infinite "
                "values; give it status 'failed' with reason 'not_finite'"
            )
        if array.attrs["role"] == "output":
            kept = ~ok & ~np.isnan(values).all(axis=axes)
            if kept.any():
                raise Refused(
                    f"field {name!r}: sample {np.flatnonzero(kept)[0]} of the shard failed; "
                    "an output of a failed sample must be NaN throughout"
                )
