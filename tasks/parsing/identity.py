"""What two recipes have in common: hashes of their documents."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

NO_OUTCOME = ("schedule", "about", "catalogue")
"""Fields of a recipe that say when it runs and what readers are told: what a run comes to is the same."""


def outcome_hash(recipe: Mapping[str, Any]) -> str:
    """Return a hash of all in a recipe's document that changes the outcome of a run: not by what it is judged."""
    left_out = {name: value for name, value in recipe.items() if name not in (*NO_OUTCOME, "gate")}
    data = {name: value for name, value in recipe.get("data", {}).items() if name != "grow"}
    return document_hash({**left_out, "data": data})


def document_hash(document: Mapping[str, Any]) -> str:
    """Return the SHA-256 of a document that JSON can hold, whatever the order of its keys."""
    return hashlib.sha256(json.dumps(document, sort_keys=True).encode()).hexdigest()
