"""Another law for a model, as a user asks for it: its fields, its name, and the problem that has it."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

from pydantic import TypeAdapter

from ritz.compute.document import Json
from ritz.compute.problems.problem import Problem
from ritz.storage.wording import meant, shown
from ritz.tasks.errors import RecipeError
from ritz.tasks.parsing.other_law import described, shifted
from ritz.tasks.parsing.plain import RecipeDocument
from ritz.tasks.parsing.plain_yaml import parse
from ritz.tasks.parsing.validation import validated

LONGEST = 80
"""Characters of a name."""

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")


@dataclass(frozen=True)
class AskedLaw:
    """Another law than that of a dataset.

    Attributes
    ----------
    name
        By which its bands are known beside the model.
    changes
        Fields of the problem with their other values.
    problem
        The problem with this law.
    """

    name: str
    changes: Json
    problem: Problem


def asked_law(given: str | Json, problem: Problem, known: Mapping[str, Json], name: str | None = None) -> AskedLaw:
    """Read another law for a problem.

    Parameters
    ----------
    given
        The name of a law in ``known``; or fields with their other values, as YAML or read: those of the problem, as in
        ``uncertainty.shifts``, or of its field ``law`` alone.
    problem
        What the dataset solves.
    known
        The laws of the recipe by name.
    name
        Of the bands; by default the name of the law in ``known``, or made of the values.

    Raises
    ------
    RecipeError
        If there is no such law or field, a value is none for it, the fields of the samples would be others, or the name
        is none of a file.
    """
    fields = parse(given, "--law") if isinstance(given, str) else given
    if isinstance(fields, str):
        if fields not in known:
            there = ", ".join(map(repr, known)) or "none"
            raise RecipeError(
                f"--law is {shown(fields)}, expected fields with other values, e.g. '{{sigma: 1.5}}', or one of "
                f"uncertainty.shifts of the recipe of the model, which has {there}{meant(fields, known)}"
            )
        name, fields = name or fields, known[fields]
    if not isinstance(fields, Mapping) or not fields:
        raise RecipeError(f"--law is {shown(fields)}, expected fields with other values, e.g. '{{sigma: 1.5}}'")
    changes = _of_problem({str(field): value for field, value in fields.items()}, problem)
    try:
        validated("--law", TypeAdapter(type(problem)), type(problem), described(problem, changes))
        other = shifted(problem, changes)
    except RecipeError:
        raise
    except ValueError as error:
        raise RecipeError(f"--law: {error}") from error
    return AskedLaw(_checked(name) if name is not None else _named(changes), changes, other)


def law_text(changes: Json) -> str:
    """Return the values of a law in words.

    Examples
    --------
    >>> law_text({"law": {"kind": "two_phase", "tau": 4.0}})
    'two_phase, tau 4'
    """
    return ", ".join(" ".join(part for part in leaf if part) for leaf in _leaves(changes))


def _of_problem(fields: RecipeDocument, problem: Problem) -> Json:
    """Return changes of the problem, where what is given may be fields of its law alone."""
    own = set(type(problem).model_fields)
    alone = "law" in own and not set(fields) <= own - {"kind"}
    return {"law": fields} if alone else fields


def _named(changes: Json) -> str:
    """Return a name made of the values."""
    text = "-".join("-".join(part for part in leaf if part) for leaf in _leaves(changes))
    name = re.sub(r"[^A-Za-z0-9._-]+", "_", text).strip("_-.")
    if len(name) <= LONGEST and name:
        return name
    return f"{name[: LONGEST - 9]}-{sha256(text.encode()).hexdigest()[:8]}".lstrip("-")


def _checked(name: str) -> str:
    if len(name) > LONGEST or not _NAME.fullmatch(name):
        raise RecipeError(
            f"--name is {shown(name)}, expected 1 to {LONGEST} letters, digits, '-', '_' or '.', beginning with a "
            "letter or a digit"
        )
    return name


def _leaves(value: Any, path: str = "") -> Iterator[tuple[str, str]]:
    """Yield the plain values below some fields with their paths, a kind and what is in the law without one."""
    if isinstance(value, Mapping):
        for field, inner in value.items():
            below = "" if not path and field == "law" else f"{path}{field}."
            yield from _leaves(inner, below)
        return
    text = "x".join(_text(one) for one in value) if isinstance(value, list | tuple) else _text(value)
    name = path.removesuffix(".")
    yield ("" if name == "kind" else name), text


def _text(value: Any) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)
