"""The problem that samples are said to solve, as a user names it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import get_args

from pydantic import TypeAdapter

from ritz.compute.fields.dimensions import Dimensions
from ritz.compute.kind import OneOf
from ritz.compute.problems.catalogue import AnyProblem
from ritz.compute.problems.problem import Problem
from ritz.storage.wording import shown
from ritz.tasks.errors import RecipeError
from ritz.tasks.parsing.plain import RecipeDocument
from ritz.tasks.parsing.plain_yaml import parse, read
from ritz.tasks.parsing.schema import class_of
from ritz.tasks.parsing.validation import validated

OPTION = "--as"

_PROBLEMS = next(item for item in get_args(AnyProblem) if isinstance(item, OneOf))


def asked_problem(given: str) -> RecipeDocument:
    """Read a problem: its kind, its fields as YAML, or the path of a YAML file; the fields are not checked yet.

    Raises
    ------
    RecipeError
        If it is none of these, or there is no such kind.

    Examples
    --------
    >>> asked_problem("darcy"), asked_problem("{kind: darcy, shape: [8, 8]}")
    ({'kind': 'darcy'}, {'kind': 'darcy', 'shape': [8, 8]})
    """
    what = f"{OPTION} {shown(given)}"
    document = read(Path(given), what) if given.endswith((".yaml", ".yml")) else parse(given, what)
    if isinstance(document, str):
        document = {"kind": document}
    if not isinstance(document, Mapping):
        raise RecipeError(f"{what}: expected the kind of a problem, e.g. darcy, or its fields, e.g. '{{kind: darcy}}'")
    if "kind" not in document:
        raise RecipeError(f"{what}: the field `kind` is required, expected one of {', '.join(_PROBLEMS.kinds())}")
    if class_of(_PROBLEMS, document) is None:
        # The message names the kinds there are.
        validated(what, TypeAdapter(AnyProblem), _PROBLEMS, dict(document))
    return dict(document)


def on_grid_of(document: RecipeDocument, dimensions: Dimensions) -> Problem:
    """Return the problem on the grid of a dataset: ``shape`` or ``points`` are those of the dataset where not given.

    Raises
    ------
    RecipeError
        If a field is wrong, or the problem cannot be solved.
    """
    document, cls = dict(document), class_of(_PROBLEMS, document)
    assert cls is not None
    grid = RecipeDocument()
    if not dimensions.mesh:
        grid = {"shape": list(dimensions.shape)} | (
            {"points": dimensions.shape[0]} if len(dimensions.shape) == 1 else {}
        )
    for name, value in grid.items():
        if name in cls.model_fields and name not in document:
            document[name] = value
    problem: Problem = validated(OPTION, TypeAdapter(AnyProblem), _PROBLEMS, document)
    if reason := problem.unsolvable():
        raise RecipeError(f"{OPTION} is {document['kind']!r}, expected a problem with equations: {reason}")
    return problem
