from __future__ import annotations

from pydantic import TypeAdapter, ValidationError

from ritz.compute.document import Json
from ritz.compute.problems.catalogue import AnyProblem
from ritz.compute.problems.problem import Problem


def problem_of(recipe: Json) -> Problem | None:
    """Return the problem of a dataset's recipe, None where its class is not installed here."""
    try:
        problem: Problem = TypeAdapter(AnyProblem).validate_python(recipe.get("problem"))
    except ValidationError:
        return None
    return problem
