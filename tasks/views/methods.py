"""Which methods a recipe can choose or a program can use, and where each was published."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from dataclasses import dataclass
from typing import get_origin

from ritz.compute.kind import Kind, OneOf, Source
from ritz.compute.uncertainty.catalogue import FROM_PYTHON
from ritz.compute.uncertainty.propagation.propagation import Propagation
from ritz.tasks.importing.mapping import Import
from ritz.tasks.parsing.schema import fields, model_of
from ritz.tasks.pipeline import Pipeline

ROOTS: dict[str, type[Kind]] = {"": Pipeline, "propagate": Propagation, "import": Import}
"""What a user writes: a recipe, the questions in it, the description of files to import."""


@dataclass(frozen=True)
class Method:
    """A kind that a field of a recipe can hold, or that a program can use.

    Attributes
    ----------
    field
        Dotted path of the field, or of the package.
    kind
        What the recipe calls it.
    about
        The first sentence of its description.
    sources
        Where it was published.
    """

    field: str
    kind: str
    about: str
    sources: tuple[Source, ...]


def methods() -> list[Method]:
    """Return all methods that are there, also those of installed packages, each at the first field that can hold it.

    Those that a program uses and no recipe holds are the last.
    """
    seen: set[type[Kind]] = set()

    def look(cls: type[Kind], path: str) -> Iterator[Method]:
        for name, field in fields(cls).items():
            model, at = model_of(field), f"{path}.{name}".lstrip(".")
            if model is None or (get_origin(field.annotation) is tuple and not isinstance(model, OneOf)):
                continue
            for kind, one in model.kinds().items() if isinstance(model, OneOf) else [("", model)]:
                if one in seen:
                    continue
                seen.add(one)
                if kind:
                    yield _method(at, kind, one)
                yield from look(one, at)

    used = [
        _method(at, str(cls.model_fields["kind"].default), cls)
        for at, model in FROM_PYTHON.items()
        for cls in (model.kinds().values() if isinstance(model, OneOf) else (model,))
    ]
    return [*(method for path, root in ROOTS.items() for method in look(root, path)), *used]


def _method(at: str, kind: str, cls: type[Kind]) -> Method:
    about = inspect.cleandoc(cls.__doc__ or "").partition("\n\n")[0].replace("\n", " ")
    return Method(at, kind, about, cls.__dict__.get("sources", ()))
