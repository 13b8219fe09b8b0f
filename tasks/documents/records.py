from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from ritz.storage import models, runs
from ritz.storage.errors import Refused, StorageError
from ritz.storage.store import Store
from ritz.tasks.signals import stopped

log = logging.getLogger("ritz")

VANISHED = "the driver ended without a word: it was killed, or its machine went down"
"""Reason of a run whose record still says ``running`` when nobody can be at it any more."""


def run_lock(name: str) -> str:
    """Return the key of the lock that a run of the recipe ``name`` holds from its start to its end."""
    return f"runs/.{name}.lock"


def fit_lock(identity: str) -> str:
    """Return the key of the lock that a training without a run holds."""
    return f"fits/.{identity}.lock"


def trained(store_url: str, name: str) -> str:
    """Return the model that a run made, as ``NAME@VERSION``; a model's own name with a version is returned as it is.

    Raises
    ------
    ritz.storage.errors.Unknown
        If there is no such run or model.
    ritz.storage.errors.Refused
        If the run came to no model.
    """
    store = Store(store_url)
    if "@" in name:
        return models.resolve(store, name).spec
    record = runs.load(store, name)
    if "model" not in record:
        why = f" ({record['error']})" if record.get("error") else ""
        raise Refused(
            f"run {name!r} has the status {record['status']!r}{why} and came to no model: there is no training to do "
            "again; see `ritz runs` for those that finished"
        )
    return models.resolve(store, f"{record['model']['name']}@{record['model']['version']}").spec


def close_vanished(store: Store, recipe: str) -> None:
    """Write ``failed`` into the records of a recipe that say ``running``; the caller holds its lock, `run_lock`."""
    for left in runs.look(store).good:
        if left["status"] == "running" and left.get("recipe", {}).get("name") == recipe:
            runs.save(store, left["run"], left | {"status": "failed", "error": VANISHED})
            log.warning("run %s: %s", left["run"], VANISHED)


@contextmanager
def recorded(store: Store, record: dict[str, Any]) -> Iterator[None]:
    """Have the record of a run in the store meanwhile, and say in it how the run ended.

    Its ``status`` is ``running``, and afterwards, with an ``error``, ``failed``, or ``interrupted`` where the run was
    stopped from outside. The caller holds the lock of the recipe, `run_lock`. So a record of the same recipe that says
    ``running`` is of a driver that is gone, and becomes ``failed`` too.

    Parameters
    ----------
    store, record
        Where, and what is known of the run at its start, with ``status`` ``running``.

    Raises
    ------
    StorageError
        If the record cannot be written at the start.
    """
    close_vanished(store, record["recipe"]["name"])
    runs.save(store, record["run"], record)
    try:
        yield
    except BaseException as error:
        try:
            # What has come to its end has not failed by what happens after it.
            if runs.load(store, record["run"])["status"] == "running":
                runs.save(store, record["run"], record | _ending(error))
        except StorageError as unsaved:
            # What ended the run is worth more than that its record could not be written.
            log.warning("run %s: its record could not be updated: %s", record["run"], unsaved)
        raise


def _ending(error: BaseException) -> dict[str, str]:
    """Return how a run ended, and by what in one line."""
    name, signal = type(error).__name__, stopped()
    if signal is not None or not isinstance(error, Exception):
        # What fails because of the signal is not why it ended.
        by = name if signal is None else signal.name
        return {"status": "interrupted", "error": f"stopped from outside ({by})"}
    first = next((line.strip() for line in str(error).splitlines() if line.strip()), "")
    return {"status": "failed", "error": f"{name}: {first}" if first else name}
