from __future__ import annotations

from pydantic import TypeAdapter, ValidationError

from ritz.compute.document import Json
from ritz.compute.problems.catalogue import AnyProblem
from ritz.compute.problems.problem import Problem
from ritz.storage.datasets import Dataset
from ritz.storage.reading import resolve
from ritz.storage.store import Store


def recipe_of(store: Store, dataset: str) -> Json:
    """Return the recipe that made a version of a dataset.

    Parameters
    ----------
    dataset
        ``"name"``, ``"name@latest"``, ``"name@v3"``, …; see `ritz.storage.reading.resolve`.
    """
    version = resolve(store, dataset)
    return Dataset.open(store, version.name).at(version.version).recipe


def problem_of(recipe: Json) -> Problem | None:
    """Return the problem of a dataset's recipe, None where its class is not installed here."""
    try:
        problem: Problem = TypeAdapter(AnyProblem).validate_python(recipe.get("problem"))
    except ValidationError:
        return None
    return problem
