from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

import icechunk
import zarr

from ritz.storage.errors import Overtaken
from ritz.storage.names import version_number
from ritz.storage.repository import BRANCH

ROUNDING = "rounding_bound"
"""Attribute of an output: what rounding to the stored dtype adds at most to the relative residual of a sample."""


@dataclass(frozen=True)
class Version:
    """One state of a dataset that never changes."""

    name: str
    """The dataset."""
    version: str
    """``"v1"``, ``"v2"``, …; the snapshot where it was not published."""
    snapshot: str
    """Icechunk's id of the state."""
    samples: int
    """Samples it holds, solved or failed."""
    created: str
    """When, UTC, ISO 8601."""
    message: str = ""
    """Message of its publication."""
    bytes: int = 0
    """What the fields of its samples take in the store."""

    @property
    def spec(self) -> str:
        """``"name@v1"``, by which it can be opened."""
        return f"{self.name}@{self.version}"


def numbers(repository: icechunk.Repository) -> list[int]:
    """Return the numbers of the published versions, ascending."""
    found = (version_number(tag) for tag in repository.list_tags())
    return sorted(number for number in found if number is not None)


def published(repository: icechunk.Repository, name: str) -> list[Version]:
    """Return the published versions, oldest first."""
    tags = [f"v{number}" for number in numbers(repository)]
    return [at_snapshot(repository, name, tag, repository.lookup_tag(tag)) for tag in tags]


def find_snapshot(repository: icechunk.Repository, name: str, version: str) -> Version | None:
    """Return the version ``"latest"``, ``"head"``, ``"v3"`` or a snapshot id means, None if there is none."""
    known = numbers(repository)
    if version == "head":
        version = repository.lookup_branch(BRANCH)
    if version == "latest":
        version = f"v{known[-1]}" if known else ""
    if version_number(version) is not None:
        if version_number(version) not in known:
            return None
        return at_snapshot(repository, name, version, repository.lookup_tag(version))
    for one in reversed(published(repository, name)):
        if one.snapshot == version:
            return one
    try:
        info = repository.lookup_snapshot(version)
    except icechunk.IcechunkError:
        # Not an id, or the id of nothing: the caller lists what there is.
        return None
    if info.parent_id is None:
        # The empty state every repository begins with.
        return None
    return at_snapshot(repository, name, version, version)


def at_snapshot(repository: icechunk.Repository, name: str, version: str, snapshot: str) -> Version:
    """Describe a snapshot of a dataset."""
    info = repository.lookup_snapshot(snapshot)
    return Version(
        name=name,
        version=version,
        snapshot=snapshot,
        samples=int(info.metadata["samples"]),
        created=info.written_at.isoformat(timespec="seconds"),
        message=info.message,
        bytes=int(info.metadata["bytes"]),
    )


def _mark(output: zarr.Array, bound: float | None) -> None:
    """Say of an output what its rounding adds, or nothing where that is unknown."""
    if bound is not None:
        output.attrs[ROUNDING] = bound
    elif ROUNDING in output.attrs:
        del output.attrs[ROUNDING]


def publish(
    repository: icechunk.Repository,
    name: str,
    head: str,
    held: Mapping[str, float],
    message: str,
    seal: Callable[[str, str], None],
) -> Version:
    """Give the state ``head``, the branch's, the next number; its number if it has one.

    ``held`` are its ``samples``, its ``bytes`` and, where it is known, ``rounding_bound``: what rounding adds at most
    to the relative residual of a sample, which becomes an attribute of the outputs. The caller holds the dataset's
    lock. ``seal`` gets the name and the snapshot before the tag is made: no version is without a seal
    (`ritz.storage.integrity.seals`).
    """
    known = numbers(repository)
    if known and repository.lookup_tag(f"v{known[-1]}") == head:
        return at_snapshot(repository, name, f"v{known[-1]}", head)
    tag = f"v{known[-1] + 1 if known else 1}"
    # A process killed between this commit and the tag leaves a head that only wants its tag.
    if repository.lookup_snapshot(head).metadata.get("version") != tag:
        session = repository.writable_session(BRANCH)
        if session.snapshot_id != head:
            raise Overtaken(f"dataset {name!r}: another process committed first, nothing was published")
        group = zarr.open_group(session.store, mode="r+")
        history = str(group.attrs.get("history", "")).splitlines()
        now = datetime.now(UTC).isoformat(timespec="seconds")
        group.attrs["history"] = "\n".join([*history, f"{now} {tag}: {message}"])
        for _, array in group.arrays():
            if array.attrs.get("role") == "output":
                _mark(array, held.get(ROUNDING))
        head = session.commit(message, {"version": tag, **held})
    seal(tag, head)
    repository.create_tag(tag, head)
    return at_snapshot(repository, name, tag, head)
