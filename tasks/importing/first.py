"""What the first files of an import say: how variables are read, and the problem that the dataset will have."""

from __future__ import annotations

from contextlib import ExitStack

from pydantic import ValidationError

from ritz.compute.problems.external import External
from ritz.storage.errors import Refused
from ritz.tasks.errors import RecipeError
from ritz.tasks.importing.files import CHUNK
from ritz.tasks.importing.plan import Plan
from ritz.tasks.importing.reading import opened
from ritz.tasks.importing.resolving import Resolved, resolved

NONE = "0" * 64
"""Origin of a problem whose files nobody has looked at yet."""


def resolved_first(plan: Plan) -> Resolved:
    """Complete the mapping by the first files; see `ritz.tasks.importing.resolving.resolved`.

    Raises
    ------
    ritz.storage.errors.Refused
        If a variable is too large for a dataset, in which a sample is one chunk.
    """
    with ExitStack() as stack:
        first = resolved(plan.mapping, opened(stack, plan.items[0]))
    for name, field in external(plan, first, NONE).template(1).data_vars.items():
        if field.nbytes > CHUNK:
            raise Refused(
                f"variable {name!r} has {field.nbytes} bytes in a sample, expected at most {CHUNK}: a sample is one "
                f"chunk; take a part of it with variables.{name}.at"
            )
    return first


def external(plan: Plan, first: Resolved, origin: str) -> External:
    """Return the problem of the dataset.

    Raises
    ------
    ritz.tasks.errors.RecipeError
        If the variables are none that can be learnt, as an output that does not lie on all of space.
    """
    try:
        return External(
            origin=origin,
            along=first.along,
            variables=first.variables,
            symmetries=plan.mapping.symmetries,
            dtype=plan.mapping.data.dtype,
        )
    except ValidationError as error:
        said = error.errors()[0]["msg"].removeprefix("Value error, ")
        raise RecipeError(f"variables of the files {plan.items[0]}: {said}") from error
