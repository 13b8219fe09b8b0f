"""Quantities as a command line gives them."""

from __future__ import annotations

from collections.abc import Sequence

from pydantic import TypeAdapter, ValidationError

from ritz.compute.evaluation.quantities.catalogue import QUANTITIES, AnyQuantity
from ritz.compute.evaluation.quantities.quantity import Quantity
from ritz.compute.evaluation.quantities.reading import quantity
from ritz.storage.wording import shown
from ritz.tasks.errors import RecipeError
from ritz.tasks.parsing.plain_yaml import parse


def asked_quantities(given: Sequence[str]) -> tuple[Quantity, ...]:
    """Read quantities.

    Parameters
    ----------
    given
        Each as `ritz.compute.evaluation.quantities.reading.quantity` reads it, or as the YAML of a recipe, ``{kind:
        mean, of: u}``.

    Raises
    ------
    ritz.tasks.errors.RecipeError
        If one is none; the message names it.

    Examples
    --------
    >>> [one.name for one in asked_quantities(["mean:u", "{kind: at, of: u, point: [0.5, 0.25], time: 1}"])]
    ['mean:u', 'at:u:0.5,0.25@1']
    """
    return tuple(_described(text) if text.lstrip().startswith("{") else _named(text) for text in given)


def _named(text: str) -> Quantity:
    try:
        return quantity(text)
    except ValueError as error:
        raise RecipeError(f"--quantity: {error}") from error


def _described(text: str) -> Quantity:
    try:
        found: Quantity = TypeAdapter(AnyQuantity).validate_python(parse(text, "--quantity"))
    except ValidationError as error:
        fault = error.errors(include_url=False)[0]
        field = ".".join(str(one) for one in fault["loc"] if one not in QUANTITIES.kinds())
        said = fault["msg"].removeprefix("Value error, ")
        raise RecipeError(f"--quantity is {shown(text)}: {field + ': ' if field else ''}{said}") from error
    return found
