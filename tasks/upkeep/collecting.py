"""What nobody needs any more: history of datasets that nothing names, and runs that came to nothing."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from ritz.compute.document import Part
from ritz.storage import models, runs
from ritz.storage.committer import Committer
from ritz.storage.errors import Busy, StorageError
from ritz.storage.garbage import Garbage, sweep
from ritz.storage.listing import look_at_datasets
from ritz.storage.shapes import expect
from ritz.storage.store import Store
from ritz.tasks.documents.records import look, run_lock
from ritz.tasks.documents.run import RunRecord
from ritz.tasks.documents.users import named_by


class TakenAway(Part):
    """What was, or would be, taken away from a dataset; see `ritz.storage.garbage.Garbage`."""

    dataset: str
    snapshots: int
    objects: int
    bytes: int


class Collected(Part):
    """What was, or would be, taken away from a store.

    Attributes
    ----------
    deleted
        Whether it was.
    runs, fits
        Ids of runs, and identities of trainings that were begun.
    busy
        Datasets and runs that were left alone, and why.
    damaged
        What cannot be read, and what follows.
    """

    deleted: bool
    datasets: tuple[TakenAway, ...]
    runs: tuple[str, ...]
    fits: tuple[str, ...]
    busy: tuple[str, ...]
    damaged: tuple[str, ...]


def collect(store_url: str, older_than: timedelta, delete: bool = False) -> Collected:
    """Take away, or only list, what nobody needs any more.

    Of a dataset: the states of its history that are no version, not the state now, and named by no model and no run
    record; and files of writers that were killed. Of runs: the records of those that failed, with the checkpoints
    that no model came of. A run that was interrupted stays, checkpoint and all, until one of the same recipe has
    finished: the same command goes on from there. What is younger than ``older_than`` stays, and so does a dataset or a
    run that is being worked on: while something is removed, its lock is held.

    A card or a record that is damaged may name anything. While there is one, no history is taken away, and no
    checkpoint. A folder is what its own name says, and nothing is followed out of the store.

    Parameters
    ----------
    delete
        Whether to do it; without, nothing is changed, and the store need not be writable.
    """
    store = Store(store_url)
    users, unread = named_by(store)
    named: dict[str, set[str]] = {}
    for source, snapshot in users:
        named.setdefault(source, set()).add(snapshot)
    known = look_at_datasets(store)
    left = _Left()
    left.damaged += [str(error) for error in (*unread, *known.damaged)]
    if unread:
        left.damaged.append("all history and all checkpoints stay: what is damaged may name them")
    rows = []
    for name in known.good:
        with left.alone(f"dataset {name!r}"):
            swept = _swept(store, name, None if unread else named, older_than, delete)
            rows.append(TakenAway(**dataclasses.asdict(swept)))
    gone = _Gone()
    before = datetime.now(UTC) - older_than
    for recipe in sorted(_recipes(store, before, left)):
        with left.alone(f"runs of {recipe!r}"):
            _take_away(store, recipe, before, delete, gone, left)
    return Collected(
        deleted=delete,
        datasets=tuple(rows),
        runs=tuple(sorted(gone.runs)),
        fits=tuple(sorted(gone.fits)),
        busy=tuple(left.busy),
        damaged=tuple(left.damaged),
    )


@dataclass
class _Left:
    """What is left alone, in words."""

    busy: list[str] = field(default_factory=list)
    damaged: list[str] = field(default_factory=list)

    @contextmanager
    def alone(self, what: str) -> Iterator[None]:
        """Go on with the next one where one is in use or damaged."""
        try:
            yield
        except Busy as error:
            self.busy.append(f"{what}: {error}")
        except StorageError as error:
            self.damaged.append(f"{what}: {error}")


@dataclass
class _Gone:
    """What is, or would be, taken away."""

    runs: set[str] = field(default_factory=set)
    fits: set[str] = field(default_factory=set)


def _swept(store: Store, name: str, named: dict[str, set[str]] | None, older_than: timedelta, delete: bool) -> Garbage:
    dataset = Committer.open(store, name)
    states = None if named is None else named.get(name, set())
    if not delete:
        if (holder := dataset.driver()) is not None:
            raise Busy(f"it is in use by {holder}")
        return sweep(dataset, states, older_than, delete)
    with dataset.lock():
        return sweep(dataset, states, older_than, delete)


def _recipes(store: Store, before: datetime, left: _Left) -> set[str]:
    """Return the recipes of which runs came to nothing."""
    found: set[str] = set()
    records = look(store).good
    for record in records:
        if _over(record, records, before):
            with left.alone(f"run {record.run}"):
                found.add(_recipe(store, record))
    return found


def _over(record: RunRecord, records: Sequence[RunRecord], before: datetime) -> bool:
    """Return whether a run came to nothing, unless somebody is still at it or will go on from where it stopped."""
    if record.status == "finished" or runs.created(record.created) >= before:
        return False
    done = {one.identity for one in records if one.status == "finished"}
    return record.status != "interrupted" or record.identity in done


def _recipe(store: Store, record: RunRecord) -> str:
    expect(store.location(f"runs/{record.run}/record.json"), record.document(), {"recipe": {"name": str}})
    return str(record.recipe["name"])


def _take_away(store: Store, recipe: str, before: datetime, delete: bool, gone: _Gone, left: _Left) -> None:
    """Take away the runs of a recipe that came to nothing, with what they had begun to train."""
    with _nobody_at(store, recipe, delete):
        # Anew, since what was read before the lock was held may have changed.
        records, versions = look(store), models.look(store)
        aborted = [
            record
            for record in records.good
            if _over(record, records.good, before) and record.recipe.get("name") == recipe
        ]
        unread = [*records.damaged, *versions.damaged]
        ids = {record.run for record in aborted} | gone.runs
        kept = {record.fit for record in records.good if record.run not in ids}
        kept |= {version.identity for version in versions.good}
        for record in aborted:
            fit = record.fit
            with left.alone(f"run {record.run}"):
                if fit is not None and fit not in kept and store.exists(f"fits/{fit}"):
                    if unread:
                        continue
                    gone.fits.add(fit)
                    if delete:
                        store.remove(f"fits/{fit}")
                if delete:
                    # A record is the last to go: a collection that was killed is finished by the next.
                    runs.remove(store, record.run)
                gone.runs.add(record.run)


@contextmanager
def _nobody_at(store: Store, recipe: str, delete: bool) -> Iterator[None]:
    """Keep others from running a recipe; where nothing is changed, only look that nobody does."""
    key = run_lock(recipe)
    if delete:
        with store.lock(key, f"run of {recipe!r} in {store.url}"):
            yield
        return
    if (holder := store.holder(key)) is not None:
        raise Busy(f"{holder} runs this recipe")
    yield
