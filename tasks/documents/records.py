from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, TypeVar

from ritz.storage import models, runs
from ritz.storage.errors import Refused, StorageError
from ritz.storage.shapes import Found
from ritz.storage.store import Store
from ritz.tasks.documents.reading import read
from ritz.tasks.documents.run import FinishedRun, RunRecord
from ritz.tasks.driver.limit import expired
from ritz.tasks.driver.signals import stopped
from ritz.tasks.parsing.identity import outcome_hash

if TYPE_CHECKING:
    from ritz.compute.cluster.usage import Usage
    from ritz.tasks.pipeline import Pipeline

log = logging.getLogger("ritz")

R = TypeVar("R", bound=RunRecord)

EMPTY: Mapping[str, Any] = MappingProxyType({})

VANISHED = "the driver ended without a word: it was killed, or its machine went down"
"""Reason of a run whose record still says ``running`` when nobody can be at it any more."""


def run_lock(name: str) -> str:
    """Return the key of the lock that a run of the recipe ``name`` holds from its start to its end."""
    return f"runs/.{name}.lock"


def fit_lock(identity: str) -> str:
    """Return the key of the lock that a training without a run holds."""
    return f"fits/.{identity}.lock"


def load(store: Store, run: str) -> RunRecord:
    """Return the record of a run.

    Raises
    ------
    ritz.storage.errors.Unknown
        There is none; the message names the latest ones.
    ritz.storage.errors.Damaged
        It is not as a record must be.
    """
    return _typed(store, RunRecord, runs.load(store, run))


def look(store: Store) -> Found[RunRecord]:
    """Return the records of all runs, oldest first, and what is damaged among them."""
    found = runs.look(store)
    good: list[RunRecord] = []
    damaged = list(found.damaged)
    for one in found.good:
        try:
            good.append(_typed(store, RunRecord, one))
        except StorageError as error:
            damaged.append(error)
    return Found(good, damaged)


def find(store: Store, identity: str) -> FinishedRun | None:
    """Return the latest finished record with this identity, None if there is none."""
    found = runs.find(store, identity)
    return None if found is None else _typed(store, FinishedRun, found)


def find_outcome(store: Store, pipeline: Pipeline) -> FinishedRun | None:
    """Return the latest record of a finished run of this pipeline, whatever it was judged by; None if there is none."""
    exact = find(store, pipeline.identity)
    if exact is not None:
        return exact
    wanted = outcome_hash(pipeline.document())
    for record in reversed(look(store).good):
        if record.status == "finished" and outcome_hash(record.recipe) == wanted:
            return finished(store, record)
    return None


def finished(store: Store, record: RunRecord) -> FinishedRun:
    """Return what a record with the status ``finished`` says of what the run has come to.

    Raises
    ------
    ritz.storage.errors.Damaged
        It lacks something.
    """
    return _typed(store, FinishedRun, record.document())


def save(store: Store, record: R, report: bytes | None = None) -> R:
    """Write or replace the record of a run, the report first, each in one step; return it as written.

    Raises
    ------
    ritz.storage.errors.StorageError
        If the store cannot be written.
    """
    return _typed(store, type(record), runs.save(store, record.run, record.document(), report))


def _typed(store: Store, kind: type[R], found: object) -> R:
    run = found["run"] if isinstance(found, dict) else ""
    return read(kind, found, store.location(f"runs/{run}/record.json"))


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
    record = load(store, name)
    if record.model is None:
        why = f" ({record.error})" if record.error else ""
        raise Refused(
            f"run {name!r} has the status {record.status!r}{why} and came to no model: there is no training to do "
            "again; see `ritz runs` for those that finished"
        )
    return models.resolve(store, record.model.spec).spec


def close_vanished(store: Store, recipe: str) -> None:
    """Write ``failed`` into the records of a recipe that say ``running``; the caller holds its lock, `run_lock`."""
    for left in look(store).good:
        if left.status == "running" and left.recipe.get("name") == recipe:
            save(store, left.changed(status="failed", error=VANISHED))
            log.warning("run %s: %s", left.run, VANISHED)


def attempts(store: Store, record: RunRecord) -> list[Usage]:
    """Return what the attempts took that ended before this run of the same recipe without a result."""
    return [
        one.usage
        for one in look(store).good
        if one.identity == record.identity
        and one.run != record.run
        and one.status in ("interrupted", "failed")
        and one.usage is not None
    ]


@contextmanager
def recorded(store: Store, record: RunRecord, known: Mapping[str, Any] = EMPTY) -> Iterator[None]:
    """Have the record of a run in the store meanwhile, and say in it how the run ended.

    Its ``status`` is ``running``, and afterwards, with an ``error``, ``failed``, or ``interrupted`` where the run was
    stopped from outside. The caller holds the lock of the recipe, `run_lock`. So a record of the same recipe that says
    ``running`` is of a driver that is gone, and becomes ``failed`` too.

    Parameters
    ----------
    store, record
        Where, and what is known of the run at its start, with ``status`` ``running``.
    known
        Further entries of the record of a run that does not finish, read at its end.

    Raises
    ------
    StorageError
        If the record cannot be written at the start.
    """
    close_vanished(store, record.recipe["name"])
    save(store, record)
    try:
        yield
    except BaseException as error:
        try:
            # What has come to its end has not failed by what happens after it.
            if load(store, record.run).status == "running":
                save(store, record.changed(**known, **_ending(error)))
        except StorageError as unsaved:
            # What ended the run is worth more than that its record could not be written.
            log.warning("run %s: its record could not be updated: %s", record.run, unsaved)
        raise


def _ending(error: BaseException) -> dict[str, str]:
    """Return how a run ended, and by what in one line."""
    name, signal = type(error).__name__, stopped()
    if (limit := expired()) is not None:
        return {"status": "interrupted", "error": limit}
    if signal is not None or not isinstance(error, Exception):
        # What fails because of the signal is not why it ended.
        by = name if signal is None else signal.name
        return {"status": "interrupted", "error": f"stopped from outside ({by})"}
    first = next((line.strip() for line in str(error).splitlines() if line.strip()), "")
    return {"status": "failed", "error": f"{name}: {first}" if first else name}
