from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ritz.compute.problems.problem import Problem
from ritz.tasks.parsing.plain import RecipeDocument


def shifted(problem: Problem, changes: Mapping[str, Any]) -> Problem:
    """Return a problem with other values of some fields; a law of another kind begins with that one's defaults.

    Raises
    ------
    ValueError
        If the problem has no such field, the value is none for it, the fields of the samples would be others, or the
        problem cannot be solved.
    """
    if reason := problem.unsolvable():
        raise ValueError(f"problem {problem.kind!r} has no law that could be another: {reason}")
    other: Problem = type(problem).model_validate(described(problem, changes))
    if other == problem:
        raise ValueError("it changes nothing")
    one, two = ({str(name): v.shape for name, v in each.template(1).data_vars.items()} for each in (problem, other))
    if one != two:
        raise ValueError(f"its fields have the shapes {two}, expected {one}, those of the dataset")
    return other


def described(problem: Problem, changes: Mapping[str, Any]) -> RecipeDocument:
    """Return the document of a problem with other values of some fields, which are not checked.

    Raises
    ------
    ValueError
        If the problem has no such field.
    """
    document: RecipeDocument = problem.model_dump(mode="json")
    unknown = sorted(set(changes) - set(document))
    if unknown:
        raise ValueError(f"problem {problem.kind!r} has no field {unknown[0]!r}, expected one of {sorted(document)}")
    return document | {name: _merged(document[name], value) for name, value in changes.items()}


def _merged(before: Any, value: Any) -> Any:
    if not (isinstance(before, Mapping) and isinstance(value, Mapping)):
        return value
    return {**before, **value} if value.get("kind", before.get("kind")) == before.get("kind") else value
