"""Answers about populations in a store, by what fixes them."""

from __future__ import annotations

import json

from ritz.storage.documents import LARGEST, parsed
from ritz.storage.store import Store
from ritz.tasks.documents.propagation import PropagationRecord
from ritz.tasks.documents.reading import read
from ritz.tasks.propagation.question import Question

FOLDER = "propagations"


def answers(question: Question) -> str:
    """Return the key of what workers answered while a question is worked on."""
    return f"{FOLDER}/{question.identity}.safetensors"


def save(store: Store, question: Question, record: PropagationRecord) -> None:
    """Keep an answer."""
    text = json.dumps(record.document(), allow_nan=False, indent=2)
    store.write(_key(question), text.encode())


def find(store: Store, question: Question) -> PropagationRecord | None:
    """Return the answer to a question that was asked before; None where it was not."""
    key = _key(question)
    if not store.exists(key):
        return None
    return read(PropagationRecord, parsed(store.read(key, LARGEST), key), key)


def _key(question: Question) -> str:
    return f"{FOLDER}/{question.identity}.json"
