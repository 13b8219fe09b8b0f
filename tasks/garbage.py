"""What nobody needs any more: history of datasets that nothing names, and runs that came to nothing."""

from __future__ import annotations

import dataclasses
import logging
from datetime import UTC, datetime, timedelta
from typing import Any

from storage import models, runs
from storage.committer import Committer
from storage.datasets import list_datasets
from storage.errors import Busy
from storage.garbage import sweep
from storage.store import Store
from tasks.lineage import consumers
from tasks.records import run_lock

log = logging.getLogger("ritz")


def collect(store_url: str, older_than: timedelta, delete: bool = False) -> dict[str, Any]:
    """Take away, or only list, what nobody needs any more.

    Of a dataset: the states of its history that are no version, not the state now, and named by no model and no run
    record; and files of writers that were killed. Of runs: the records of those that failed, with the checkpoints
    that no model came of. What is younger than ``older_than`` stays, and so does a dataset or a run that is being
    worked on.

    Parameters
    ----------
    delete
        Whether to do it; without, nothing is changed.

    Returns
    -------
    dict
        ``deleted`` (bool), ``datasets`` (rows as `storage.garbage.Garbage`), ``runs`` (ids), ``fits`` (identities of
        trainings that were begun), ``busy`` (datasets and runs that were left alone, and why).
    """
    store = Store(store_url)
    named: dict[str, set[str]] = {}
    for source, snapshot in consumers(store):
        named.setdefault(source, set()).add(snapshot)
    rows, busy = [], []
    for name in list_datasets(store):
        dataset = Committer.open(store, name)
        try:
            with dataset.lock():
                rows.append(dataclasses.asdict(sweep(dataset, named.get(name, set()), older_than, delete)))
        except Busy as error:
            busy.append(str(error))
    aborted = _aborted(store, datetime.now(UTC) - older_than, busy)
    gone = {record["run"] for record in aborted}
    kept = {record.get("fit") for record in runs.list_runs(store) if record["run"] not in gone}
    kept |= {model.identity for model in models.list_models(store)}
    fits = sorted({record["fit"] for record in aborted if "fit" in record} - kept)
    fits = [fit for fit in fits if store.exists(f"fits/{fit}")]
    if delete:
        # A record is the last to go: a collection that was killed is finished by the next.
        for fit in fits:
            store.remove(f"fits/{fit}")
        for run in sorted(gone):
            runs.remove(store, run)
    return {"deleted": delete, "datasets": rows, "runs": sorted(gone), "fits": fits, "busy": busy}


def _aborted(store: Store, before: datetime, busy: list[str]) -> list[dict[str, Any]]:
    """Return the records of old runs that failed, or vanished; say in ``busy`` which may go on in this moment."""
    found = []
    for record in runs.list_runs(store):
        if record["status"] == "finished" or datetime.fromisoformat(record["created"]) >= before:
            continue
        holder = store.holder(run_lock(record["recipe"]["name"]))
        if holder is None:
            found.append(record)
        else:
            busy.append(f"run {record['run']}: {holder} runs this recipe")
    return found
