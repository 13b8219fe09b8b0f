"""Names and settings of torch's own optimisers and schedules, checked against torch itself."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import BeforeValidator

Scalar = bool | int | float | str | None


def _number(value: Any) -> Any:
    """Turn text that is a number, as YAML reads ``1e-3``, into that number."""
    if isinstance(value, list | tuple):
        return tuple(_number(item) for item in value)
    if isinstance(value, str):
        try:
            return float(value)
        except ValueError:
            return value
    return value


Setting = Annotated[Scalar | tuple[Scalar, ...], BeforeValidator(_number)]
"""A value of one of torch's arguments."""


def found(module: Any, parent: type, name: str, excluded: Mapping[str, str]) -> type:
    """Return a class of a torch module by its name.

    Parameters
    ----------
    module
        Where it is looked for.
    parent
        What it inherits from.
    excluded
        Why some of them cannot be chosen, by name.

    Raises
    ------
    ValueError
        If there is none of this name, or it cannot be chosen.
    """
    if name in excluded:
        raise ValueError(f"name is {name!r}, which {excluded[name]}")
    known = {
        key: value
        for key, value in vars(module).items()
        if isinstance(value, type) and issubclass(value, parent) and value is not parent and not key.startswith("_")
    }
    if name not in known:
        offered = ", ".join(sorted(set(known) - set(excluded)))
        raise ValueError(f"name is {name!r}, expected one of torch's own: {offered}")
    return known[name]


def check_settings(cls: type, settings: Mapping[str, Any], own: tuple[str, ...]) -> None:
    """Refuse settings that are no arguments of a class, and missing ones.

    Parameters
    ----------
    own
        Arguments that are not the user's to give.

    Raises
    ------
    ValueError
        With the arguments there are.
    """
    arguments = {name: about for name, about in inspect.signature(cls).parameters.items() if name not in own}
    unknown = sorted(set(settings) - set(arguments))
    if unknown:
        raise ValueError(
            f"settings has {', '.join(unknown)}, which {cls.__name__} of torch does not take; expected some of "
            f"{', '.join(arguments)}"
        )
    missing = [
        name for name, about in arguments.items() if about.default is inspect.Parameter.empty and name not in settings
    ]
    if missing:
        raise ValueError(f"settings lacks {', '.join(missing)}, which {cls.__name__} of torch cannot do without")
