from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from storage.documents import mapping
from storage.errors import StorageError, Unknown
from storage.names import check_name
from storage.store import Store
from storage.wording import shown

STATUSES = ("running", "finished", "failed")
"""What a record's ``status`` may be."""


def save(store: Store, run_id: str, record: Mapping[str, Any], report: bytes | None = None) -> dict[str, Any]:
    """Write or replace the record of a run, the report first, each in one step.

    Parameters
    ----------
    store, run_id
        Where, and under which id.
    record
        What JSON can hold; needs ``identity`` (str: what fixes the run's result) and ``status``
        (one of `STATUSES`). ``created`` (UTC, ISO 8601) is added by the first save and kept by later ones.
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
    created = _load(store, run_id)["created"] if store.exists(f"{key}/record.json") else None
    written = {"created": created or datetime.now(UTC).isoformat(), **record}
    try:
        text = json.dumps(written, allow_nan=False, indent=2)
    except (TypeError, ValueError) as error:
        raise StorageError(f"run {run_id!r}: the record must be what JSON can hold: {error}") from error
    if report is not None:
        store.write(f"{key}/report.html", report)
    store.write(f"{key}/record.json", text.encode())
    return written


def load(store: Store, run_id: str) -> dict[str, Any]:
    """Return the record of a run.

    Raises
    ------
    Unknown
        There is none; the message names the latest ones.
    """
    if not store.exists(f"{_key(run_id)}/record.json"):
        latest = ", ".join(list(store.documents("runs", "record.json"))[-5:]) or "none yet"
        raise Unknown(f"run {shown(run_id)}: not in {store.url}; the latest are: {latest}")
    return _load(store, run_id)


def list_runs(store: Store) -> list[dict[str, Any]]:
    """Return the records of all runs, oldest first."""
    # A run that was killed before its first record is no run.
    found = store.documents("runs", "record.json").items()
    records = [mapping(data, store.location(f"{_key(run)}/record.json")) for run, data in found]
    return sorted(records, key=lambda record: record["created"])


def find(store: Store, identity: str) -> dict[str, Any] | None:
    """Return the latest finished record with this identity, None if there is none."""
    for record in reversed(list_runs(store)):
        if record["identity"] == identity and record["status"] == "finished":
            return record
    return None


def remove(store: Store, run_id: str) -> None:
    """Remove the record of a run and its report; nothing happens where there is none."""
    store.remove(_key(run_id))


def report_location(store: Store, run_id: str) -> str:
    """Return where the report of a run lies, for a person to open."""
    return store.location(f"{_key(run_id)}/report.html")


def _key(run_id: str) -> str:
    return f"runs/{check_name('run', run_id)}"


def _load(store: Store, run_id: str) -> dict[str, Any]:
    return store.document(f"{_key(run_id)}/record.json")
