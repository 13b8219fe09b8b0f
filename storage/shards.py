from __future__ import annotations

import pickle
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

import icechunk
import numpy as np
import zarr

from ritz.storage.chunks import ChunkCodec, ShardCodec, write
from ritz.storage.errors import Refused
from ritz.storage.ledger import COLUMNS, STATUSES, Ledger, encode
from ritz.storage.repository import BRANCH, attach, check_there, engine, has_shard
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
        result: icechunk.ForkSession = pickle.loads(self.state)
        return result

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
        session, plan = fork.session(), _planned(fork.state)
        check_index(shard_index, plan.samples // plan.length)
        size = _write(session, plan, shard_index, arrays, ledger)
        check_changes(session, [shard_index], arrays)
    return fork.holding(shard_index, session, size, rounding_bound)


def _write(
    session: icechunk.ForkSession, plan: _Plan, shard_index: int, arrays: Mapping[str, np.ndarray], ledger: Ledger
) -> int:
    """Write the shard in the session; return what its fields take in the store."""
    columns = encode(ledger, plan.length, plan.rtol, plan.solvers)
    _check_fields(plan, arrays, columns["status"] == STATUSES.index("ok"))
    # Chunks equal to the fill value are written too: what exists is what was written.
    fields = {plan.fields[name].key(shard_index): plan.fields[name].encode(values) for name, values in arrays.items()}
    ledgers = {f"{name}/c/{shard_index}": plan.columns[name].encode(column) for name, column in columns.items()}
    write(session.store, fields | ledgers)
    return sum(map(len, fields.values()))


def is_committed(fork: Fork, shard_index: int) -> bool:
    """Return whether the dataset of a fork has a shard by now.

    Raises
    ------
    StorageError
        The dataset is gone or damaged.
    """
    store = Store(fork.store)
    check_there(store, fork.key)
    repository = attach(store, fork.key)
    with engine(store, fork.key):
        return has_shard(repository.readonly_session(BRANCH), shard_index)


@dataclass(frozen=True)
class _Plan:
    """What a shard of a dataset is made of.

    Attributes
    ----------
    samples, length
        Of the dataset and of a shard.
    rtol, solvers
        What its ledger says; see `ritz.storage.ledger.encode`.
    fields, outputs
        Codecs by name, and which of them are outputs.
    columns
        Codecs of the ledger's columns.
    """

    samples: int
    length: int
    rtol: float
    solvers: tuple[str, ...]
    fields: Mapping[str, ShardCodec]
    outputs: frozenset[str]
    columns: Mapping[str, ChunkCodec]


@lru_cache(maxsize=4)
def _planned(state: bytes) -> _Plan:
    """Read what a shard is made of from a fork in which nothing was written; all shards of a run have the same."""
    session: icechunk.ForkSession = pickle.loads(state)
    group = zarr.open_group(session.store, mode="r")
    stored, attrs = dict(group.arrays()), group.attrs.asdict()
    fields = {name: array for name, array in stored.items() if "role" in array.attrs}
    return _Plan(
        samples=stored["status"].shape[0],
        length=int(str(attrs["shard"])),
        rtol=float(str(attrs["rtol"])),
        solvers=tuple(str(attrs["solvers"]).split()),
        fields={name: ShardCodec.of(array) for name, array in fields.items()},
        outputs=frozenset(name for name, array in fields.items() if array.attrs["role"] == "output"),
        columns={name: _column(name, stored[name]) for name in COLUMNS},
    )


def _column(name: str, array: zarr.Array[Any]) -> ChunkCodec:
    metadata: Any = array.metadata
    return ChunkCodec.of(f"ledger column {name!r}", array.dtype, metadata.codecs)


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


def _check_fields(plan: _Plan, arrays: Mapping[str, np.ndarray], ok: np.ndarray) -> None:
    if set(arrays) != set(plan.fields):
        raise Refused(f"fields {sorted(arrays)}: expected {sorted(plan.fields)}")
    for name, codec in plan.fields.items():
        values = arrays[name]
        shape = (plan.length, *codec.shape)
        if values.shape != shape or values.dtype != codec.dtype:
            raise Refused(
                f"field {name!r}: expected {codec.dtype} of shape {shape}, got {values.dtype} of shape {values.shape}"
            )
        axes = tuple(range(1, values.ndim))
        bad = ok & ~np.isfinite(values).all(axis=axes)
        if bad.any():
            raise Refused(
                f"field {name!r}: sample {np.flatnonzero(bad)[0]} of the shard is ok and has NaN or infinite "
                "values; give it status 'failed' with reason 'not_finite'"
            )
        if name in plan.outputs:
            kept = ~ok & ~np.isnan(values).all(axis=axes)
            if kept.any():
                raise Refused(
                    f"field {name!r}: sample {np.flatnonzero(kept)[0]} of the shard failed; "
                    "an output of a failed sample must be NaN throughout"
                )
