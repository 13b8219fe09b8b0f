"""A recipe or a profile as an object, or all that is wrong with it in one message."""

from __future__ import annotations

import copy
import re
from collections.abc import Callable, Iterable, Iterator
from typing import Any, cast

from pydantic import TypeAdapter, ValidationError

from ritz.compute.kind import COLLECT, Fault, faults_in
from ritz.storage.wording import cut, nearest, shown
from ritz.tasks.errors import RecipeError
from ritz.tasks.parsing import schema
from ritz.tasks.parsing.plain import RecipeDocument

MOST = 20
"""Faults that a message has."""

_WORDS = {
    "missing": "this field is required",
    "tuple_type": "expected a list",
    "dict_type": "expected a mapping of fields",
    "model_type": "expected a mapping of fields",
    "model_attributes_type": "expected a mapping of fields",
    "union_tag_not_found": "the field `kind` is required",
}
"""What the common problems are called, where pydantic speaks of Python."""

_DERIVED = ("value_error", "assertion_error", "missing")
"""What may come of a value that was left out: a check of several fields together, and that it is not there."""


def validated(
    what: str,
    adapter: TypeAdapter[Any],
    root: schema.Model,
    document: RecipeDocument,
    more: Callable[[Any], Iterable[Fault]] = lambda _: (),
    said: Iterable[str] = (),
) -> Any:
    """Return the object that a document describes.

    What is wrong is collected first: a value that is refused is left at its default for the sake of what comes after,
    and nothing is said of what depends on it.

    Parameters
    ----------
    what
        What it is, for the message: ``"recipe 'darcy'"``.
    adapter, root
        Of what class it is, or of which of several kinds.
    more
        Yields further faults of the object.
    said
        What is known to be wrong.

    Raises
    ------
    RecipeError
        All faults, a line each.
    """
    given, repaired = copy.deepcopy(document), list[str]()
    lines: dict[str, None] = dict.fromkeys(said)
    made = None
    for _ in range(MOST):
        try:
            made = adapter.validate_python(given, context=COLLECT)
            break
        except ValidationError as error:
            problems = _problems(error)
        for problem in problems:
            field = _field(given, problem["loc"])
            if len(lines) <= MOST and not (problem["type"] in _DERIVED and _touched((field,), repaired)):
                lines[_line(root, given, problem, field)] = None
        mended = [_left_out(given, problem, repaired) for problem in problems]
        if not all(mended):
            break
    if made is not None:
        found = [(path, fault) for path, fault in faults_in(made)] + [("", fault) for fault in more(made)]
        for path, fault in found:
            if not _touched(fault.fields, repaired):
                lines[f"{path}: {cut(fault.message, 600)}" if path else cut(fault.message, 1000)] = None
    if lines:
        raise RecipeError(_joined(what, list(lines)))
    return made


def _joined(what: str, lines: list[str]) -> str:
    if len(lines) == 1:
        return f"{what}: {lines[0]}"
    return "\n  ".join([f"{what}:", *lines[:MOST], *(["and more"] if len(lines) > MOST else [])])


def _problems(error: ValidationError) -> list[Any]:
    problems = error.errors(include_url=False)
    # A list with a bad item is also reported as a bad list.
    places = {problem["loc"][:end] for problem in problems for end in range(len(problem["loc"]))}
    return [problem for problem in problems if problem["loc"] not in places]


def _line(root: schema.Model, given: Any, problem: Any, field: str) -> str:
    message = _WORDS.get(problem["type"], cut(problem["msg"].removeprefix("Value error, "), 600))
    value, hint = problem.get("input"), ""
    if problem["type"] == "extra_forbidden":
        steps = _steps(given, problem["loc"])
        known = schema.known(root, given, steps[:-1])
        message = "there is no such field" + (f", expected one of {', '.join(known)}" if known else "")
        hint = _meant_field(root, str(steps[-1]), field, known)
    elif problem["type"] == "union_tag_invalid":
        context = problem["ctx"]
        message = f"there is no kind {shown(context['tag'])}, expected one of {context['expected_tags']}"
        hint = _meant(str(context["tag"]), re.findall(r"'([^']*)'", context["expected_tags"]))
    elif problem["type"] == "literal_error":
        hint = _meant(str(value), re.findall(r"'([^']*)'", problem["ctx"]["expected"]))
    elif value is None and problem["type"] != "missing":
        hint = "; the value is empty"
    elif problem["type"] in ("int_from_float", "int_parsing"):
        hint = _whole(value, 1)
    elif problem["type"] == "multiple_of":
        hint = _whole(value, problem["ctx"]["multiple_of"])
    quoted = "" if isinstance(value, dict) or problem["type"] == "missing" else f" (got {shown(value)})"
    said = f"{message}{quoted}{hint}"
    return f"{field}: {said}" if field else said


def _meant_field(root: schema.Model, name: str, field: str, known: list[str]) -> str:
    """Return which field is meant by one that there is not: of another kind, of a near name, or one elsewhere."""
    everywhere = schema.paths(root) if isinstance(root, type) else {}
    if field in everywhere:
        return f"; the kinds that have it: {', '.join(everywhere[field])}"
    elsewhere = [path for path in everywhere if path.rpartition(".")[2] == name]
    same = sorted(elsewhere, key=lambda path: (path.count("."), path))[:3]
    return _meant(name, known) or (f"; did you mean {' or '.join(same)}?" if same else "")


def _meant(name: str, known: Iterable[str]) -> str:
    near = nearest(name, known)
    return f"; did you mean {' or '.join(near)}?" if near else ""


def _whole(value: Any, of: float) -> str:
    """Return the multiples that are nearest to a value that is none."""
    try:
        number = float(value)
    except (TypeError, ValueError, OverflowError):
        return ""
    if not abs(number) < 1e15:
        return ""
    below = number // of * of
    return f"; the nearest is {below:g}" if below == number else f"; the nearest are {below:g} and {below + of:g}"


def _left_out(given: Any, problem: Any, repaired: list[str]) -> bool:
    """Leave out what a problem is about, so that its default stands there; return whether that can be done."""
    steps = _steps(given, problem["loc"])
    if problem["type"] == "missing":
        if steps == ("name",):
            given["name"] = "unnamed"
            repaired.append("name")
            return True
        steps = steps[:-1]
    while steps:
        *parents, last = steps
        place: Any = given
        for step in parents:
            there = isinstance(place, list) or (isinstance(place, dict) and step in place)
            place = cast(Any, place)[step] if there else None
        if isinstance(place, dict) and last in place:
            del place[last]
            repaired.append(".".join(map(str, steps)))
            return True
        if isinstance(place, dict):
            # A key that is no text is told by its text.
            named = [key for key in place if not isinstance(key, str) and str(key) == str(last)]
            if named:
                del place[named[0]]
                return True
        steps = steps[:-1]
    return False


def _touched(fields: Iterable[str], repaired: list[str]) -> bool:
    """Return whether one of the fields, something in it or what it is in was left out."""
    return any(
        f"{field}.".startswith(f"{one}.") or f"{one}.".startswith(f"{field}." if field else "")
        for field in fields
        for one in repaired
    )


def _steps(document: Any, place: tuple[int | str, ...]) -> tuple[int | str, ...]:
    """Return the path of a field in a document, without the kinds that pydantic puts between the names."""
    return tuple(_walked(document, place))


def _walked(document: Any, place: tuple[int | str, ...]) -> Iterator[int | str]:
    here = document
    for part in place:
        if part == (here.get("kind") if isinstance(here, dict) else here):
            continue
        yield part
        if isinstance(here, dict):
            here = here.get(part)
        elif isinstance(here, list | tuple) and isinstance(part, int) and part < len(here):
            here = here[part]


def _field(document: Any, place: tuple[int | str, ...]) -> str:
    return ".".join(cut(str(part), 120) for part in _steps(document, place))
