from __future__ import annotations

import asyncio
import errno
import os
import re
from collections.abc import Coroutine, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any, TypeVar

import icechunk
import zarr

from ritz.storage.documents import Json
from ritz.storage.errors import Overtaken, StorageError
from ritz.storage.layout import Layout
from ritz.storage.store import Store

BRANCH = "main"

T = TypeVar("T")

_GOES_ON = "committed work is kept, and the same command goes on from there"

# Icechunk logs, on every opening, that commits to a local folder are not safe against each other. Here they
# cannot meet: a commit needs the dataset's lock, which one process holds. Other warnings are let through.
if "ICECHUNK_LOG" not in os.environ:
    icechunk.set_logs_filter("warn,icechunk::storage::object_store=error")


READER = {"num_chunk_refs": 50_000, "num_snapshot_nodes": 10_000}
COMMITTER = {"num_chunk_refs": 5_000, "num_snapshot_nodes": 200, "num_transaction_changes": 100}
"""What a process keeps in memory of manifests, snapshots and logs. Every commit leaves its own there, by default up to
15 million references, gigabytes; a committer asks for the newest alone, and its memory is flat after 200 of them."""


def _config(kept: Mapping[str, int]) -> icechunk.RepositoryConfig:
    # A commit rewrites the manifests it touches, one a variable, and they hold the small ledger chunks as well:
    # whole ones make it grow with the dataset (49 ms at 10⁵ chunks), pieces of 2000 write 310 kB a commit,
    # pieces of 200 write 70 kB. Smaller ones would lengthen the list of pieces, which is rewritten too.
    splitting = icechunk.ManifestSplittingConfig.from_dict(
        {icechunk.ManifestSplitCondition.AnyArray(): {icechunk.ManifestSplitDimCondition.Axis(0): 200}}
    )
    return icechunk.RepositoryConfig(
        # Loading manifests ahead of need slows every session by 2 ms, and a committer opens one per shard.
        manifest=icechunk.ManifestConfig(splitting=splitting, preload=icechunk.ManifestPreloadConfig(max_total_refs=0)),
        caching=icechunk.CachingConfig(**kept),
    )


# What a creation that is killed leaves before there is a branch: settings and an empty state, no data.
_BEGUN = {"config.yaml", "snapshots"}


def create_repository(store: Store, key: str, plan: Layout) -> None:
    """Make a repository at ``key``; it counts from the commit of the layout on, its first.

    The caller holds the lock. Where a process was killed here, its repository is taken up as soon as there is a
    branch, so that nothing that could hold data is ever removed.
    """
    if set(store.list(key)) <= _BEGUN:
        # Icechunk makes repositories in empty places only.
        store.remove(key)
    with engine(store, key):
        repository = icechunk.Repository.open_or_create(store.repository(key), config=_config(COMMITTER))
        session = repository.writable_session(BRANCH)
        plan.write(session.store)
        session.commit("layout", {"samples": 0, "bytes": 0, "rounding_bound": 0.0})


def open_repository(store: Store, key: str, kept: Mapping[str, int] = READER) -> icechunk.Repository | None:
    """Open the repository at ``key``; None if there is none, or one whose creation has not come to its end.

    Parameters
    ----------
    kept
        What to keep in memory: `READER` or `COMMITTER`.

    Raises
    ------
    StorageError
        The folder holds something else.
    """
    if set(store.list(key)) <= _BEGUN:
        return None
    repository = attach(store, key, kept)
    with engine(store, key):
        begun = repository.lookup_snapshot(repository.lookup_branch(BRANCH)).parent_id is not None
    return repository if begun else None


def attach(store: Store, key: str, kept: Mapping[str, int] = READER) -> icechunk.Repository:
    """Open the repository at ``key``, whatever is in it.

    Raises
    ------
    StorageError
        There is none, or what the engine reads first is damaged.
    """
    with engine(store, key):
        return icechunk.Repository.open(store.repository(key), config=_config(kept))


def check_there(store: Store, key: str) -> None:
    """Refuse to work on a repository that was there before and is gone.

    The engine would create the folder again, and block the return of the missing store.

    Raises
    ------
    StorageError
        The folder ``key`` does not exist, or a link has taken its place or that of a folder in it.
    """
    if not store.exists(key):
        raise StorageError(f"{store.location(key)} is gone, it was there before; bring it back: {_GOES_ON}")
    store.repository(key)


@contextmanager
def engine(store: Store, key: str) -> Iterator[None]:
    """Turn the engine's errors into one line that names the folder, the reason and what to do."""
    try:
        with panics_are_errors():
            yield
    except icechunk.ConflictError as error:
        raise Overtaken(
            f"{store.location(key)}: another process committed first, nothing was changed; the same command goes "
            "on from there"
        ) from error
    except (icechunk.IcechunkError, zarr.errors.NodeNotFoundError) as error:
        # The first line says what went wrong; the others are a trace through the engine.
        first = str(error).strip().removeprefix("x").split("\n")[0].strip()
        system = re.search(r"\(os error (\d+)\)", first)
        if system is not None and int(system[1]) != errno.ENOENT:
            # A full disk, say: the engine's own words are about its inner parts.
            reason = f"{os.strerror(int(system[1]))}; when that is mended: {_GOES_ON}"
            raise StorageError(f"{store.location(key)}: {reason}") from error
        check_there(store, key)
        raise StorageError(f"{store.location(key)}: {first}") from error
    except Panic as error:
        raise StorageError(
            f"{store.location(key)}: a file of the dataset is damaged ({error}); see `ritz audit`"
        ) from error


@contextmanager
def reading(store: Store, key: str) -> Iterator[None]:
    """Turn what the engine, Zarr and its codecs raise when they read damaged files into one line, as `engine` does."""
    with engine(store, key):
        try:
            yield
        except (StorageError, zarr.errors.NodeNotFoundError, Panic):
            raise
        except (ValueError, RuntimeError, KeyError, IndexError, TypeError) as error:
            first = (str(error).strip() or type(error).__name__).split("\n")[0]
            raise StorageError(
                f"{store.location(key)}: a file of the dataset is damaged ({first}); see `ritz audit`"
            ) from error


class Panic(RuntimeError):
    """What the engine does when a file's content is impossible."""


@contextmanager
def panics_are_errors() -> Iterator[None]:
    """Turn a panic of the engine, which is no ``Exception``, into a `Panic`, which is."""
    try:
        yield
    except BaseException as error:
        # The class is not exported by any module.
        if type(error).__name__ != "PanicException":
            raise
        raise Panic(str(error)) from error


def stored_shards(session: icechunk.Session) -> set[int]:
    """Return the shards that a snapshot holds: the chunks of ``status`` that exist."""

    async def collect() -> set[int]:
        return {int(position[0]) async for position in session.chunk_coordinates("/status")}

    return _finish(collect())


def _finish(work: Coroutine[Any, Any, T]) -> T:
    # A thread of its own, because the caller's may be running an event loop already.
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(asyncio.run, work).result()


def has_shard(session: icechunk.Session, shard: int) -> bool:
    """Return whether a snapshot holds one shard."""
    return session.chunk_type("/status", [shard]) != icechunk.ChunkType.UNINITIALIZED


def attributes(session: icechunk.Session) -> Json:
    """Return the global attributes of a snapshot."""
    return dict(zarr.open_group(session.store, mode="r").attrs)
