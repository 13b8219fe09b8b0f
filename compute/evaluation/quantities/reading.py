from __future__ import annotations

from typing import Any

from pydantic import ValidationError

from ritz.compute.evaluation.quantities.catalogue import QUANTITIES
from ritz.compute.evaluation.quantities.quantity import Quantity


def quantity(text: str) -> Quantity:
    """Return the quantity that a command line names: its kind, its fields between colons, and ``@`` a time.

    Raises
    ------
    ValueError
        If there is no such kind or field, or a value is none.

    Examples
    --------
    >>> quantity("mean:u").name, quantity("at:u:0.5,0.25@1").point
    ('mean:u', (0.5, 0.25))
    >>> quantity("median:u")
    Traceback (most recent call last):
    ValueError: quantity 'median:u': kind is 'median', expected one of at, flux, integral, max, mean, norm
    """
    what = f"quantity {text!r}"
    words, at, time = text.partition("@")
    kind, *values = words.split(":")
    known = {name: cls for name, cls in QUANTITIES.kinds().items() if issubclass(cls, Quantity)}
    if kind not in known:
        raise ValueError(f"{what}: kind is {kind!r}, expected one of {', '.join(sorted(known))}")
    fields = known[kind].positional
    if not values or len(values) > len(fields):
        raise ValueError(f"{what}: expected {':'.join([kind, *(field.upper() for field in fields)])}")
    given: dict[str, Any] = {
        field: value.split(",") if "tuple" in str(known[kind].model_fields[field].annotation) else value
        for field, value in zip(fields, values, strict=False)
    }
    try:
        return known[kind].model_validate(given | ({"time": time} if at else {}))
    except ValidationError as error:
        first = error.errors()[0]
        raise ValueError(f"{what}: {'.'.join(map(str, first['loc']))}: {first['msg']}") from None
