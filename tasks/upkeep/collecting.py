"""What nobody needs any more: history of datasets that nothing names, and runs that came to nothing."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from ritz.compute.document import DocumentPart
from ritz.storage import models, runs
from ritz.storage.committer import Committer
from ritz.storage.errors import Busy, StorageError
from ritz.storage.garbage import superseded, sweep
from ritz.storage.listing import look_at_datasets
from ritz.storage.names import dataset_key
from ritz.storage.shapes import expect
from ritz.storage.store import Store
from ritz.tasks.catalogue.named import named_by_catalogues
from ritz.tasks.documents.records import look, run_lock
from ritz.tasks.documents.run import RunRecord
from ritz.tasks.documents.users import named_by


class TakenAway(DocumentPart):
    """What was, or would be, taken away from a dataset; see `ritz.storage.garbage.Garbage`.

    Attributes
    ----------
    versions
        Those that are superseded.
    bytes_before, bytes_after
        Size of the dataset in the store; the latter is known once it was taken away.
    """

    dataset: str
    versions: tuple[str, ...]
    snapshots: int
    objects: int
    bytes: int
    bytes_before: int
    bytes_after: int | None


class Collected(DocumentPart):
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


def collect(store_url: str, older_than: timedelta, delete: bool = False, keep: int | None = None) -> Collected:
    """Take away, or only list, what nobody needs any more.

    Of a dataset: the states of its history that are no version, not the state now, and named by no model and no run
    record; and files of writers that were killed. Of runs: the records of those that failed, with the checkpoints
    that no model came of. A run that was interrupted stays, checkpoint and all, until one of the same recipe has
    finished: the same command goes on from there. What is younger than ``older_than`` stays, and so does a dataset or a
    run that is being worked on: while something is removed, its lock is held.

    With ``keep`` also versions of a dataset go that are not among its newest, unless a model, a run record, a catalogue
    or a tag that a user made names them; the samples that they share with later ones stay.

    A card or a record that is damaged may name anything. While there is one, no history is taken away, and no
    checkpoint. A folder is what its own name says, and nothing is followed out of the store.

    Parameters
    ----------
    delete
        Whether to do it; without, nothing is changed, and the store need not be writable.
    keep
        How many versions of a dataset stay, the newest; all by default.
    """
    store = Store(store_url)
    users, unread = named_by(store)
    catalogued, unreadable = named_by_catalogues(store)
    unread = [*unread, *unreadable]
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
            states = None if unread else named.get(name, set())
            versions = {version for dataset, version in catalogued if dataset == name}
            rows.append(_swept(_Sweep(store, name, states, versions, older_than, keep), delete))
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


@dataclass(frozen=True)
class _Sweep:
    """What is asked for of a dataset; the snapshots that are named are None where that is not known."""

    store: Store
    name: str
    named: set[str] | None
    catalogued: set[str]
    older_than: timedelta
    keep: int | None

    def superseded(self, dataset: Committer) -> list[str]:
        """Return the versions that go; none where it is not known what is named."""
        if self.keep is None or self.named is None:
            return []
        return superseded(dataset, self.named, self.catalogued, self.keep, self.older_than)


def _swept(asked: _Sweep, delete: bool) -> TakenAway:
    dataset, key = Committer.open(asked.store, asked.name), dataset_key(asked.name)
    before = asked.store.size(key)
    if not delete:
        if (holder := dataset.driver()) is not None:
            raise Busy(f"it is in use by {holder}")
        gone = asked.superseded(dataset)
        found = sweep(dataset, asked.named, asked.older_than, delete, set(gone))
        return TakenAway(**dataclasses.asdict(found), versions=tuple(gone), bytes_before=before, bytes_after=None)
    with dataset.lock():
        dataset.unpublish(())
        gone = asked.superseded(dataset)
        dataset.unpublish(gone)
        found = sweep(dataset, asked.named, asked.older_than, delete)
        after = asked.store.size(key)
        return TakenAway(**dataclasses.asdict(found), versions=tuple(gone), bytes_before=before, bytes_after=after)


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
