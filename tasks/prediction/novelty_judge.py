"""The inputs of the dataset of a model, to judge whether another is anything like them."""

from __future__ import annotations

from ritz.compute.uncertainty.novelty.catalogue import novelty as read_novelty
from ritz.compute.uncertainty.novelty.novelty import Novelty
from ritz.storage import models
from ritz.storage.reading import read, resolve
from ritz.storage.store import Store
from ritz.tasks.documents.card import Card
from ritz.tasks.measuring.novelty_worker import FILE, of_inputs


def novelty(store: Store, spec: str, card: Card) -> tuple[Novelty | None, str]:
    """Return what judges the inputs of a model, or None and why there is none.

    It lies beside the model. Models saved before it did have the inputs looked at now, where the version of
    the dataset that they were trained on is at hand.
    """
    blob = models.read_file(store, spec, FILE)
    if blob is not None:
        try:
            return read_novelty(blob), ""
        except ValueError:
            return None, f"no rule of this release reads {FILE} of model {spec}, expected that of a later one"
    source = card.dataset
    try:
        if source.snapshot != resolve(store, source.spec).snapshot:
            return None, f"dataset {source.spec} is another one than the model was trained on"
        return of_inputs(read(store, source.spec)), ""
    except ValueError as error:
        # The dataset is gone, damaged or without samples; predictions do not need it.
        return None, str(error)
