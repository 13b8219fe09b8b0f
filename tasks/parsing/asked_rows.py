"""A law of the rows of a dataset, as a user asks for it in the place of a problem's law."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import TypeAdapter

from ritz.compute.uncertainty.propagation.laws.catalogue import INPUT_LAWS, AnyInputLaw
from ritz.compute.uncertainty.propagation.laws.input_law import InputLaw
from ritz.compute.uncertainty.propagation.propagation import Propagation
from ritz.storage.wording import meant, shown
from ritz.tasks.errors import RecipeError
from ritz.tasks.parsing.validation import validated


def is_of_rows(fields: Mapping[str, Any]) -> bool:
    """Return whether the fields of a law are those of one of rows, and not other values of a problem's."""
    return "dataset" in fields or fields.get("kind") in INPUT_LAWS.kinds()


def law_of_rows(fields: Mapping[str, Any], field: str) -> tuple[InputLaw, str]:
    """Read a law of rows, and the name of its dataset.

    Parameters
    ----------
    fields
        ``kind``, ``dataset`` and the parameters of the kind.
    field
        Where they are given, for messages.

    Raises
    ------
    RecipeError
        If the dataset is none, or the fields describe no law.
    """
    dataset = fields.get("dataset")
    if not isinstance(dataset, str):
        given = f"is {shown(dataset)}" if "dataset" in fields else "is missing"
        example = "'{kind: empirical, dataset: NAME}'"
        raise RecipeError(f"{field}: dataset {given}, expected the name of one of the store, e.g. {example}")
    kind, known = fields.get("kind"), sorted(INPUT_LAWS.kinds())
    if kind not in known:
        given = f"is {shown(kind)}" if "kind" in fields else "is missing"
        raise RecipeError(f"{field}: kind {given}, expected one of {', '.join(known)}{meant(str(kind), known)}")
    described = {str(name): value for name, value in fields.items() if name != "dataset"}
    law: InputLaw = validated(field, TypeAdapter(AnyInputLaw), INPUT_LAWS, described)
    return law, dataset


def without_coordinates(asked: Propagation, law: InputLaw) -> str:
    """Return why a question is none about a law of rows, in a few words; empty where it is one."""
    if asked.sensitivity is None:
        return ""
    return (
        f"sensitivity is {asked.sensitivity} with the law {law.kind!r} of rows, which has no coordinates, expected a "
        "law of the problem"
    )
