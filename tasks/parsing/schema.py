"""What fields there are at a place of a recipe, told from the classes of the pipeline."""

from __future__ import annotations

import ast
import inspect
import textwrap
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import timedelta
from functools import cache
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic.fields import FieldInfo

from ritz.compute.kind import Kind, OneOf

Model = OneOf | type[Kind] | None
"""What lies at a place: one of several kinds, fields of one class, or a plain value."""


def fields(cls: type[Kind]) -> dict[str, FieldInfo]:
    """Return the fields of a class by the names that a recipe has for them."""
    return {field.alias or name: field for name, field in cls.model_fields.items()}


def model_of(field: FieldInfo) -> Model:
    """Return what a field holds, or the items of the list that it holds."""
    return next(_models(field.annotation, field.metadata), None)


def _models(annotation: Any, metadata: Any = ()) -> Iterator[OneOf | type[Kind]]:
    choices = (*metadata, *getattr(annotation, "__metadata__", ()))
    yield from (choice for choice in choices if isinstance(choice, OneOf))
    if isinstance(annotation, type) and issubclass(annotation, Kind):
        yield annotation
    for inner in get_args(annotation):
        yield from _models(inner)


def class_of(model: Model, value: Any) -> type[Kind] | None:
    """Return the class of a value of a recipe, None for a plain value or an unknown kind."""
    if not isinstance(model, OneOf):
        return model
    kind = value.get("kind") if isinstance(value, Mapping) else value
    return model.kinds().get(kind) if isinstance(kind, str) else None


def known(root: Model, document: Any, steps: tuple[int | str, ...]) -> list[str]:
    """Return the names of the fields at a place of a document, none where there are none."""
    model, here = root, document
    for step in steps:
        cls = class_of(model, here)
        if isinstance(step, int):
            here = here[step] if isinstance(here, list | tuple) and step < len(here) else None
            continue
        if cls is None or step not in fields(cls):
            return []
        model = model_of(fields(cls)[step])
        here = here.get(step) if isinstance(here, Mapping) else None
    cls = class_of(model, here)
    return list(fields(cls)) if cls is not None else []


def default_of(field: FieldInfo) -> Any:
    """Return the default of a field as a recipe would have it, None where it has none."""
    return plain(None if field.is_required() else field.get_default(call_default_factory=True))


def plain(value: Any) -> Any:
    """Return a value as a recipe would have it."""
    if isinstance(value, Kind):
        return value.model_dump(mode="json", by_alias=True)
    if isinstance(value, tuple | list):
        return [plain(part) for part in value]
    return str(value) if isinstance(value, timedelta) else value


@dataclass(frozen=True)
class Entry:
    """A field of a recipe.

    Attributes
    ----------
    path
        Dotted path, as ``--set`` takes it.
    kind
        The kind that has it, where not all kinds do that can be chosen there; else empty.
    value, default
        In this recipe, and where nobody says otherwise; as a recipe has them. None where there is none, and for a
        section whose fields are listed.
    limits, unit, meaning
        In words, empty where there are none; ``"1"`` is the unit of a number without one.
    kinds
        What can be chosen at this place, none where it is a plain value.
    """

    path: str
    kind: str
    value: Any
    default: Any
    limits: str
    unit: str
    meaning: str
    kinds: tuple[str, ...]


def entries(pipeline: Kind, every: bool = False) -> Iterator[Entry]:
    """Yield the fields of a recipe in their order: of the kinds that are chosen, or of ``every`` kind there is."""
    return _entries(type(pipeline), pipeline, "", "", every)


def _entries(cls: type[Kind], made: Any, path: str, kind: str, every: bool) -> Iterator[Entry]:
    meanings = _meanings(cls)
    for name, field in cls.model_fields.items():
        if name == "kind":
            continue
        at = f"{path}.{field.alias or name}".lstrip(".")
        value, model = None if made is None else getattr(made, name), model_of(field)
        kinds = tuple(model.kinds()) if isinstance(model, OneOf) else ()
        several = get_origin(field.annotation) is tuple
        section = model is not None and not several
        # A number, or a range that stands in its place.
        number = _is_number(field.annotation)
        default = default_of(field)
        if section and isinstance(default, dict):
            default = default.get("kind") if kinds else None
        if section and isinstance(value, Kind):
            shown = getattr(value, "kind", None) if kinds else None
        else:
            shown = plain(value)
        limits = "" if section and not number else _limits(field.annotation, field.metadata)
        if kinds:
            limits = ("each one of " if several else "one of ") + ", ".join(kinds)
        extra = field.json_schema_extra
        unit = str(extra.get("unit", "")) if isinstance(extra, dict) else ""
        if not unit and number:
            unit = "1"
        meaning = " ".join((field.description or meanings.get(name, "")).split())
        yield Entry(at, kind, shown, default, limits, unit, meaning, kinds)
        yield from _inside(model, value, at, several, kind, every)


def _inside(model: Model, value: Any, at: str, several: bool, kind: str, every: bool) -> Iterator[Entry]:
    """Yield the fields of what lies in a field."""
    if several:
        for index, part in enumerate(value or ()):
            if isinstance(part, Kind):
                yield from _entries(type(part), part, f"{at}.{index}", kind, every)
        at = f"{at}.N"
    elif isinstance(value, Kind):
        yield from _entries(type(value), value, at, kind, every)
    elif isinstance(model, type):
        # A section that may be left out, as it would begin.
        yield from _entries(model, None, at, kind, every)
    if every and isinstance(model, OneOf):
        for name, cls in model.kinds().items():
            if several or type(value) is not cls:
                yield from _entries(cls, None, at, name, False)


def _is_number(annotation: Any) -> bool:
    if annotation in (int, float):
        return True
    return get_origin(annotation) is not Literal and any(_is_number(inner) for inner in get_args(annotation))


_SIGNS = {
    "gt": "> {}",
    "ge": "≥ {}",
    "lt": "< {}",
    "le": "≤ {}",
    "min_length": "{} or more",
    "max_length": "{} at most",
}


def _limits(annotation: Any, metadata: Any = ()) -> str:
    """Return in words what a field may hold."""
    origin, inner = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        return _limits(inner[0], (*metadata, *inner[1:]))
    bounds = [
        _SIGNS[name].format(_number(getattr(part, name)))
        for part in _flat(metadata)
        for name in _SIGNS
        if getattr(part, name, None) is not None
    ]
    if origin is Literal:
        return " or ".join(str(value) for value in inner)
    if origin in (Union, UnionType):
        several = [_limits(part, metadata) for part in inner if part is not NoneType]
        optional = ["or none"] if NoneType in inner else []
        return " ".join([" or ".join(dict.fromkeys(filter(None, several))), *optional]).strip()
    if origin is tuple:
        items = [part for part in inner if part is not Ellipsis]
        count = [str(len(items))] if Ellipsis not in inner else bounds
        return ", ".join([*count, *filter(None, [f"each {each}" if (each := _limits(items[0])) else ""])])
    names = {int: "whole number", bool: "true or false", timedelta: "duration"}
    words = [names[annotation]] if annotation in names else []
    characters = " characters" if annotation is str and bounds else ""
    return ", ".join([*words, *bounds]) + characters


def _flat(metadata: Any) -> Iterator[Any]:
    for part in metadata:
        if isinstance(part, FieldInfo):
            yield from _flat(part.metadata)
        else:
            yield part


def _number(value: Any) -> str:
    return f"{value:g}" if isinstance(value, float) or (isinstance(value, int) and value >= 10**6) else str(value)


def _meanings(cls: type[Kind]) -> dict[str, str]:
    """Return the texts that stand below the fields of a class and of those it inherits from."""
    found: dict[str, str] = {}
    for one in reversed(cls.__mro__):
        if not (isinstance(one, type) and issubclass(one, Kind)) or one is Kind:
            continue
        try:
            [tree] = ast.parse(textwrap.dedent(inspect.getsource(one))).body
        except (OSError, TypeError):
            # A class without a file, as one typed at a prompt.
            continue
        assert isinstance(tree, ast.ClassDef)
        for field, text in zip(tree.body, tree.body[1:], strict=False):
            if (
                isinstance(field, ast.AnnAssign)
                and isinstance(field.target, ast.Name)
                and isinstance(text, ast.Expr)
                and isinstance(text.value, ast.Constant)
            ):
                found[field.target.id] = inspect.cleandoc(str(text.value.value))
    return found


@cache
def paths(root: type[Kind]) -> dict[str, list[str]]:
    """Return for every field that a recipe can have, but in lists, which kinds have it, by its dotted path."""
    found: dict[str, list[str]] = {}
    seen: set[tuple[str, type[Kind]]] = set()

    def look(cls: type[Kind], path: str, kind: str) -> None:
        if (path, cls) in seen:
            return
        seen.add((path, cls))
        for name, field in fields(cls).items():
            at = f"{path}.{name}".lstrip(".")
            found.setdefault(at, []).append(kind)
            model = model_of(field)
            if get_origin(field.annotation) is tuple or model is None:
                continue
            for inner, one in model.kinds().items() if isinstance(model, OneOf) else [("", model)]:
                look(one, at, inner)

    look(root, "", "")
    return found
