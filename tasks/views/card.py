from __future__ import annotations

from typing import Any

from ritz.compute.evaluation.cost import digits, rounded
from ritz.storage import models
from ritz.storage.store import Store
from ritz.tasks.measuring.gate import release_of

FIRST = (
    *("name", "run", "mode", "dataset", "training", "metrics", "calibration", "cost", "break_even"),
    *("recipe", "inputs", "outputs"),
)
"""The order in which a card is read; what else it holds comes after."""

MISSING = {
    "metrics": "not measured; see `ritz evaluate`",
    "calibration": "not measured; see `ritz quantify`",
    "cost": "not measured; see `ritz evaluate`",
    "break_even": "not measured; see `ritz evaluate`",
}


def card(store_url: str, spec: str) -> dict[str, Any]:
    """Return the card of a model, ``NAME[@VERSION]``: what made it, how good it is, what it costs, when that pays.

    Raises
    ------
    ritz.storage.errors.Unknown
        If there is no such model or version.
    """
    store = Store(store_url)
    kept = MISSING | models.read_card(store, spec)
    found = {name: kept[name] for name in FIRST if name in kept} | kept
    verdict = models.read_document(store, spec, "release.json") or {"released": None}
    # One that was trained by itself never came to a gate.
    release = "not judged" if verdict["released"] is None else release_of(verdict, kept["recipe"])
    return {"model": models.resolve(store, spec).spec, **verdict, "release": release, **found}


def break_even(kept: dict[str, Any]) -> str:
    """Return from how many queries on the model of a card has paid for itself, in a word or two."""
    even = kept.get("break_even")
    if not even or not even["measured"]:
        return "-"
    return "never" if even["queries"] is None else f"{rounded(even['queries'], digits(even.get('spread', 1.0))):,}"
