from __future__ import annotations

from collections.abc import Iterable, Set
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import icechunk

from ritz.storage.committer import Committer
from ritz.storage.names import version_number
from ritz.storage.repository import BRANCH

_KEPT = "kept-"
"""Begin of the tags that hold a snapshot which is named, but no version."""


@dataclass(frozen=True)
class Garbage:
    """What was, or would be, taken away from a dataset.

    Attributes
    ----------
    snapshots
        States of its history that nothing names; the samples in them are in later ones.
    objects, bytes
        Files that no snapshot needs any more, and their size: of these snapshots, if they were taken away, and of
        writes that were never committed.
    """

    dataset: str
    snapshots: int
    objects: int
    bytes: int


def superseded(
    dataset: Committer, named: Set[str], catalogued: Set[str], keep: int, older_than: timedelta
) -> list[str]:
    """Return the versions that are old, not among the newest, and named by nobody.

    Parameters
    ----------
    named
        Snapshots that models and run records name.
    catalogued
        Versions that catalogues name.
    keep
        How many of the newest stay, at least one.
    older_than
        Younger ones stay.
    """
    before = datetime.now(UTC) - older_than
    with dataset.sweeping(delete=False) as repository:
        others = {repository.lookup_tag(tag) for tag in repository.list_tags() if version_number(tag) is None}
        return [
            version.version
            for version in dataset.versions()[:-keep]
            if version.snapshot not in named | others
            and version.version not in catalogued
            and datetime.fromisoformat(version.created) < before
        ]


def sweep(
    dataset: Committer,
    named: Set[str] | None,
    older_than: timedelta,
    delete: bool,
    without: Set[str] = frozenset(),
) -> Garbage:
    """Take away the history of a dataset that nothing names, and what writers left that were killed.

    Versions, the state now and the snapshots that are named stay, whole; to a reader of one of them nothing changes.

    Parameters
    ----------
    dataset
        The caller holds its lock, so that no other process writes; a dry run needs no lock.
    named
        Snapshots that must stay: those that models and run records name. None where it is not known which those are:
        then all stay, and what goes are files of writes that were never committed.
    older_than
        Younger entries stay.
    delete
        Whether to do it; without, it is only counted, and the files of the snapshots that would go are not in the
        count.
    without
        Versions that are counted as if they had no names any more.

    Raises
    ------
    ritz.storage.errors.Refused
        This process does not hold the lock.
    ritz.storage.errors.StorageError
        The history is damaged, or the folder contains a link, which the engine would follow. Nothing was changed.
    """
    with dataset.sweeping(delete) as repository:
        before = datetime.now(UTC) - older_than
        held = _held(repository, without)
        expired = {
            info.id
            for info in _history(repository)
            if named is not None
            and info.written_at < before
            and info.parent_id is not None
            and info.id not in held | named
        }
        if delete and expired:
            for snapshot in sorted((named or set()) & _known(repository) - held):
                repository.create_tag(f"{_KEPT}{snapshot}", snapshot)
            repository.expire_snapshots(before)
        found = repository.garbage_collect(before, dry_run=not delete)
        objects = sum(
            getattr(found, f"{kind}_deleted") for kind in ("chunks", "manifests", "snapshots", "transaction_logs")
        )
        return Garbage(dataset.name, len(expired), objects, found.bytes_deleted)


def _held(repository: icechunk.Repository, without: Set[str]) -> set[str]:
    """Return the snapshots that tags, also those that a user made, and branches are."""
    tags = [tag for tag in repository.list_tags() if tag not in without]
    branches = [repository.lookup_branch(branch) for branch in repository.list_branches()]
    return {*branches, *(repository.lookup_tag(tag) for tag in tags)}


def _history(repository: icechunk.Repository) -> Iterable[icechunk.SnapshotInfo]:
    # Versions are published on the branch, so that its history holds theirs.
    return repository.ancestry(branch=BRANCH)


def _known(repository: icechunk.Repository) -> set[str]:
    return {info.id for info in _history(repository)}
