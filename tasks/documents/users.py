"""Which models and runs were made with which snapshot of a dataset."""

from __future__ import annotations

from collections import defaultdict

from ritz.compute.document import DocumentPart
from ritz.storage import models
from ritz.storage.errors import StorageError
from ritz.storage.shapes import Found
from ritz.storage.store import Store
from ritz.tasks.documents import of_model
from ritz.tasks.documents.records import look


class Uses(DocumentPart):
    """Models and runs that were made with a snapshot of a dataset."""

    models: tuple[str, ...] = ()
    runs: tuple[str, ...] = ()


NOBODY = Uses(models=(), runs=())
"""Of what nothing was made with."""

Consumers = dict[tuple[str, str], Uses]
"""By dataset and snapshot."""


def named_by(store: Store) -> tuple[Consumers, list[StorageError]]:
    """Return which models and run records name which snapshot of which dataset, and what of these is damaged."""
    made: dict[tuple[str, str], tuple[list[str], list[str]]] = defaultdict(lambda: ([], []))
    versions, records = models.look(store), look(store)
    damaged = [*versions.damaged, *records.damaged]
    for model in versions.good:
        try:
            source = of_model.card(store, model.spec).dataset
        except StorageError as error:
            damaged.append(error)
            continue
        made[source.name, source.snapshot][0].append(model.spec)
    for record in records.good:
        # A run that failed has not come to a dataset.
        if record.dataset is not None:
            made[record.dataset.name, record.dataset.snapshot][1].append(record.run)
    return {where: Uses(models=tuple(of), runs=tuple(by)) for where, (of, by) in made.items()}, damaged


def consumers(store: Store) -> Consumers:
    """Return which models and run records name which snapshot; what is damaged is named in the log."""
    found, damaged = named_by(store)
    return Found([found], damaged).named()[0]
