"""The documents that lie beside a model: its card, and what was measured of it."""

from __future__ import annotations

from typing import TypeVar

from ritz.compute.document import Document
from ritz.storage import models
from ritz.storage.store import Store
from ritz.tasks.documents.calibration import Calibration
from ritz.tasks.documents.card import Card
from ritz.tasks.documents.evaluation import Evaluation
from ritz.tasks.documents.reading import read
from ritz.tasks.documents.training import History
from ritz.tasks.documents.verdict import Verdict

D = TypeVar("D", bound=Document)

EVALUATION, CALIBRATION, RELEASE, HISTORY = "evaluation.json", "calibration.json", "release.json", "history.json"
"""Files of a model."""

COVERAGE_MAP, CELLS = "coverage.safetensors", "cells/"
"""And this, of one level, which its header names: how often each value of a test sample was inside its interval,
``cells/OUTPUT``; which share of each sample's values was, ``shares``; and whose, ``sample_id``."""


def card(store: Store, spec: str) -> Card:
    """Return the card of ``"name"``, ``"name@latest"`` or ``"name@v2"``.

    Raises
    ------
    ritz.storage.errors.Unknown
        If there is no such model or version.
    ritz.storage.errors.StorageError
        If the card is damaged.
    """
    return read(Card, models.read_card(store, spec), f"the card of model {spec}")


def evaluation(store: Store, spec: str) -> Evaluation | None:
    """Return what was measured on the test split, None before; spec and errors as `card`."""
    return _read(Evaluation, store, spec, EVALUATION)


def calibration(store: Store, spec: str) -> Calibration | None:
    """Return how a model was quantified, None before; spec and errors as `card`."""
    return _read(Calibration, store, spec, CALIBRATION)


def verdict(store: Store, spec: str) -> Verdict | None:
    """Return what became of a model at its gate, None if it never came to one; spec and errors as `card`."""
    return _read(Verdict, store, spec, RELEASE)


def history(store: Store, spec: str) -> History | None:
    """Return how the training went, None of a model without; spec and errors as `card`."""
    return _read(History, store, spec, HISTORY)


def _read(kind: type[D], store: Store, spec: str, file: str) -> D | None:
    found = models.read_document(store, spec, file)
    return None if found is None else read(kind, found, f"{file} of model {spec}")
