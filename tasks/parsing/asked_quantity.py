"""Quantities as a command line gives them: ``mean:u``, ``at:u:0.5,0.5``, or the YAML of a recipe."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from pydantic import TypeAdapter, ValidationError

from ritz.compute.evaluation.quantities.catalogue import QUANTITIES, AnyQuantity
from ritz.compute.evaluation.quantities.quantity import Quantity
from ritz.storage.wording import meant, shown
from ritz.tasks.errors import RecipeError
from ritz.tasks.parsing.plain_yaml import parse


def asked_quantities(given: Sequence[str]) -> tuple[Quantity, ...]:
    """Read quantities.

    Parameters
    ----------
    given
        Each as ``KIND:OUTPUT``, with further fields of the kind after colons, the coordinates of a point with commas
        between them, and a time after ``@``; or as YAML, ``{kind: mean, of: u}``.

    Raises
    ------
    ritz.tasks.errors.RecipeError
        If one is none; the message names it.

    Examples
    --------
    >>> [one.name for one in asked_quantities(["mean:u", "at:u:0.5,0.25@1"])]
    ['mean:u', 'at:u:0.5,0.25@1']
    """
    if not given:
        raise RecipeError("--quantity is missing, expected one or more, e.g. --quantity mean:u")
    return tuple(_read(text) for text in given)


def _read(text: str) -> Quantity:
    fields = parse(text, "--quantity") if text.lstrip().startswith("{") else _fields(text)
    try:
        quantity: Quantity = TypeAdapter(AnyQuantity).validate_python(fields)
    except ValidationError as error:
        fault = error.errors(include_url=False)[0]
        field = ".".join(str(one) for one in fault["loc"] if one not in QUANTITIES.kinds())
        said = fault["msg"].removeprefix("Value error, ")
        raise RecipeError(f"--quantity is {shown(text)}: {field + ': ' if field else ''}{said}") from error
    return quantity


def _fields(text: str) -> dict[str, Any]:
    """Return the fields of ``KIND:OUTPUT:…@TIME``."""
    words, _, time = text.partition("@")
    kind, *values = words.split(":")
    kinds = QUANTITIES.kinds()
    if kind not in kinds:
        raise RecipeError(f"--quantity is {shown(text)}, expected one of {sorted(kinds)} first{meant(kind, kinds)}")
    cls = kinds[kind]
    assert issubclass(cls, Quantity)
    names = cls.positional
    if len(values) > len(names):
        form = ":".join([kind, *(name.upper() for name in names)])
        raise RecipeError(f"--quantity is {shown(text)}, expected {form}")
    fields: dict[str, Any] = {"kind": kind}
    for name, value in zip(names, values, strict=False):
        numbers = _numbers(value)
        fields[name] = value if numbers is None else numbers
    if time:
        numbers = _numbers(time)
        if numbers is None or len(numbers) != 1:
            raise RecipeError(f"--quantity is {shown(text)}, expected a number after '@', the time")
        fields["time"] = numbers[0]
    return fields


def _numbers(text: str) -> tuple[float, ...] | None:
    """Return numbers with commas between them; None where it is none."""
    try:
        found = tuple(float(one) for one in text.split(","))
    except ValueError:
        return None
    return found if all(map(math.isfinite, found)) else None
