from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from ritz.storage.documents import LARGEST, Json
from ritz.storage.errors import Damaged, StorageError, Unknown
from ritz.storage.names import check_name
from ritz.storage.shapes import Found, Shape, checked, expect
from ritz.storage.store import Store
from ritz.storage.wording import shown

STATUSES = ("running", "finished", "failed", "interrupted")
"""What a record's ``status`` may be."""

_SHAPE = {"identity": str, "status": str, "created": str}

_WHERE_IT_HAS: dict[str, Shape] = {
    "fit": {"fit": str},
    "recipe": {"recipe": {"name": str}},
    "dataset": {"dataset": {"name": str, "version": str, "snapshot": str}},
    "model": {"model": {"name": str, "version": str}},
    "paths": {"paths": dict},
}
"""What else is relied on of a record that has come so far."""


def save(store: Store, run_id: str, record: Mapping[str, Any], report: bytes | None = None) -> Json:
    """Write or replace the record of a run, the report first, each in one step.

    Parameters
    ----------
    store, run_id
        Where, and under which id.
    record
        What JSON can hold; needs ``identity`` (str: what fixes the run's result) and ``status``
        (one of `STATUSES`). ``run``, the id, and ``created`` (UTC, ISO 8601) are added by the first save and kept by
        later ones.
    report
        A self-contained HTML page; one that was saved before stays where it is None.

    Returns
    -------
    dict
        The record as written.

    Raises
    ------
    StorageError
        The record lacks something or is no JSON, or the store cannot be written.
    """
    key = _key(run_id)
    identity, status = record.get("identity"), record.get("status")
    if not isinstance(identity, str) or not identity:
        raise StorageError(f"run {run_id!r}: the record needs an identity, got {identity!r}")
    if status not in STATUSES:
        raise StorageError(f"run {run_id!r}: status {status!r}, expected one of {list(STATUSES)}")
    before = _load(store, run_id)["created"] if store.exists(f"{key}/record.json") else None
    written = {"created": before or datetime.now(UTC).isoformat(), **record, "run": run_id}
    try:
        text = json.dumps(written, allow_nan=False, indent=2)
    except (TypeError, ValueError) as error:
        raise StorageError(f"run {run_id!r}: the record must be what JSON can hold: {error}") from error
    if report is not None:
        store.write(f"{key}/report.html", report)
    store.write(f"{key}/record.json", text.encode())
    return written


def load(store: Store, run_id: str) -> Json:
    """Return the record of a run.

    Raises
    ------
    Unknown
        There is none; the message names the latest ones.
    """
    if not store.exists(f"{_key(run_id)}/record.json"):
        latest = ", ".join([record["run"] for record in look(store).good][-5:]) or "none yet"
        raise Unknown(f"run {shown(run_id)}: not in {store.url}; the latest are: {latest}")
    return _load(store, run_id)


def look(store: Store) -> Found[Json]:
    """Return the records of all runs, oldest first, and the damaged ones.

    A run is called as its folder is, whatever the record says.
    """
    good: list[Json] = []
    damaged: list[StorageError] = []
    # A run that was killed before its first record is no run.
    for run_id, data in store.documents("runs", "record.json").items():
        try:
            good.append(_record(store, run_id, data))
        except StorageError as error:
            damaged.append(error)
    return Found(sorted(good, key=lambda record: created(record["created"])), damaged)


def created(text: str) -> datetime:
    """Return when a record says that a run was created, ISO 8601; a time without a zone is in UTC."""
    when = datetime.fromisoformat(text)
    return when if when.tzinfo is not None else when.replace(tzinfo=UTC)


def find(store: Store, identity: str) -> Json | None:
    """Return the latest finished record with this identity, None if there is none."""
    found = look(store)
    for record in reversed(found.good):
        if record["identity"] == identity and record["status"] == "finished":
            return record
    # It may be one of the damaged.
    found.named()
    return None


def remove(store: Store, run_id: str) -> None:
    """Remove the record of a run and its report; nothing happens where there is none."""
    store.remove(_key(run_id))


def report_location(store: Store, run_id: str) -> str:
    """Return the path or URL of the report of a run, for a person to open."""
    return store.location(f"{_key(run_id)}/report.html")


def _key(run_id: str) -> str:
    return f"runs/{check_name('run', run_id)}"


def _load(store: Store, run_id: str) -> Json:
    return _record(store, run_id, store.read(f"{_key(run_id)}/record.json", LARGEST))


def _record(store: Store, run_id: str, data: bytes | StorageError) -> Json:
    place = store.location(f"{_key(run_id)}/record.json")
    record = checked(place, data, _SHAPE)
    for name, shape in _WHERE_IT_HAS.items():
        if name in record:
            expect(place, record, shape)
    if record["status"] not in STATUSES:
        raise Damaged(f"{place}: status is {shown(record['status'])}, expected one of {list(STATUSES)}")
    for kind, named in (("fit", record.get("fit")), ("recipe", record.get("recipe", {}).get("name"))):
        if named is not None:
            check_name(f"{place}: {kind}", named)
    try:
        created(record["created"])
    except ValueError as error:
        raise Damaged(f"{place}: created is {shown(record['created'])}, expected a time (ISO 8601)") from error
    record["run"] = run_id
    return record
