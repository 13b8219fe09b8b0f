"""Changes of a recipe: paths of fields and their new values, from a command line or from whoever triggers a run."""

from __future__ import annotations

import copy
import json
import logging
from collections.abc import Mapping
from typing import Any

from ritz.compute.kind import Kind, OneOf
from ritz.storage.wording import shown
from ritz.tasks.errors import RecipeError
from ritz.tasks.parsing import schema
from ritz.tasks.parsing.plain import Overrides, RecipeDocument
from ritz.tasks.parsing.plain_yaml import check_bounds, parse

log = logging.getLogger("ritz")

MOST = 1000
"""Overrides at a time."""


def parse_assignments(assignments: list[str]) -> Overrides:
    """Turn ``["problem.shape=[32,32]", ...]`` into overrides; values are YAML.

    Raises
    ------
    RecipeError
        If one is not ``path=value``, or two give the same path different values.
    """
    overrides: Overrides = {}
    wrong: dict[str, None] = {}
    for assignment in assignments:
        path, equals, text = assignment.partition("=")
        path = path.strip()
        try:
            if not equals or not path:
                raise RecipeError(f"--set {shown(assignment)}: expected PATH=VALUE, e.g. --set problem.shape=[32,32]")
            add(overrides, path, parse(text, f"--set {shown(assignment)}: the value"), "--set ")
        except RecipeError as error:
            wrong[str(error)] = None
    if wrong:
        raise RecipeError("\n  ".join(wrong))
    return overrides


def add(overrides: Overrides, path: str, value: Any, option: str) -> None:
    """Add an override; one that another contradicts is refused.

    Raises
    ------
    RecipeError
        The path has another value already.
    """
    if path in overrides and overrides[path] != value:
        raise RecipeError(
            f"{option}{shown(path)[1:-1]} is given twice, {shown(overrides[path])} and {shown(value)}; "
            "expected one of them"
        )
    overrides[path] = value


def assignments(overrides: Mapping[str, Any] | None) -> list[str]:
    """Turn overrides into the words of a command that has them; the reverse of `parse_assignments`."""
    return [word for path, value in (overrides or {}).items() for word in ("--set", f"{path}={json.dumps(value)}")]


def applied(
    document: RecipeDocument, overrides: Mapping[str, Any], root: type[Kind]
) -> tuple[RecipeDocument, list[str]]:
    """Return a recipe with its overrides, and what is wrong with their paths.

    They have an order of their own: whole sections come first, then kinds, then single fields.
    A section that another kind is chosen for keeps what both kinds have alike, and loses the other fields of the old
    kind. One that the recipe leaves out begins with its defaults.

    Parameters
    ----------
    document
        The recipe; it is not changed.
    root
        The class that the recipe is of.

    Raises
    ------
    RecipeError
        The overrides are too many.
    """
    if not isinstance(overrides, Mapping) or len(overrides) > MOST:
        raise RecipeError(f"overrides: expected a mapping of at most {MOST} paths to values, got {shown(overrides)}")
    changed, wrong = copy.deepcopy(document), list[str]()
    for path, value in sorted(overrides.items(), key=lambda one: _rank(str(one[0]))):
        try:
            steps = _steps(path)
            check_bounds(value, f"--set {path}")
            _set(changed, path, steps, copy.deepcopy(value), root)
        except RecipeError as error:
            wrong.append(str(error))
    return changed, wrong


def _rank(path: str) -> tuple[int, bool]:
    return path.count("."), not path.endswith(".kind")


def _steps(path: Any) -> list[str]:
    if not isinstance(path, str) or len(path) > 300 or not all(path.split(".")):
        raise RecipeError(f"--set {shown(path)}: expected names with dots between them, e.g. problem.shape")
    return path.split(".")


def _set(document: RecipeDocument, path: str, steps: list[str], value: Any, root: type[Kind]) -> None:
    place: Any = document
    model: schema.Model = root
    for step in steps[:-1]:
        model, place = _entered(place, model, step, path)
    last = steps[-1]
    if isinstance(place, list):
        index = _index(place, steps[-2], last, path)
        place[index : index + 1] = [value]
        return
    if last == "kind" and isinstance(model, OneOf):
        _choose(place, model, value, path)
    place[last] = value


def _entered(place: Any, model: schema.Model, step: str, path: str) -> tuple[schema.Model, Any]:
    """Go into a field or an item, which is made where it is left out; return what lies there."""
    if isinstance(place, list):
        index = _index(place, "", step, path)
        inner: Any = place[index] if index < len(place) else {}
        below = model
    else:
        cls = schema.class_of(model, place)
        field = schema.fields(cls).get(step) if cls is not None else None
        below = schema.model_of(field) if field is not None else None
        inner = place.get(step)
        if inner is None and field is not None:
            inner = schema.default_of(field)
        inner = {} if inner is None else inner
    if isinstance(inner, str) and (below is not None or not isinstance(model, type)):
        inner = {"kind": inner}
    if isinstance(inner, tuple):
        inner = list(inner)
    if isinstance(inner, Kind):
        inner = schema.plain(inner)
    if not isinstance(inner, dict | list):
        raise RecipeError(f"--set {path}: {step!r} holds {shown(inner)}, which has no fields")
    if isinstance(place, list):
        place[index : index + 1] = [inner]
    else:
        place[step] = inner
    return below, inner


def _index(place: list[Any], name: str, step: str, path: str) -> int:
    if not step.isdecimal() or int(step) > len(place):
        last = len(place) - 1
        said = f"has the items 0 to {last}, and {last + 1} adds one" if place else "is empty, and 0 adds an item"
        raise RecipeError(f"--set {path}: expected the number of an item in place of {step!r}: the list {name} {said}")
    return int(step)


def _choose(place: RecipeDocument, model: OneOf, kind: Any, path: str) -> None:
    """Take away the fields of the kind that is there which another kind does not have alike."""
    kinds, present = model.kinds(), place.get("kind")
    if not isinstance(kind, str) or kind == present or kind not in kinds or present not in kinds:
        return
    old, new = schema.fields(kinds[present]), schema.fields(kinds[kind])
    gone = [
        name for name in place if name != "kind" and name in old and not (name in new and _alike(old[name], new[name]))
    ]
    for name in gone:
        del place[name]
    if gone:
        log.info("--set %s=%s leaves out %s of %s", path, kind, ", ".join(gone), present)


def _alike(one: Any, other: Any) -> bool:
    return one.annotation == other.annotation and [*map(repr, one.metadata)] == [*map(repr, other.metadata)]
